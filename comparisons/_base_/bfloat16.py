# Trained in bfloat16, on CPUs and GPUs; validated in float32.
options = {
    "optim_wrapper.type": "mmresizer.BFloat16OptimWrapper",
    "env_cfg.cudnn_benchmark": True,
}
