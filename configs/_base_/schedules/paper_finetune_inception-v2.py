# The paper's recipe from the baseline's weights; it does not name the number of epochs.
_base_ = ["paper_finetune.py", "../default_runtime.py"]

# No weights are published; these come from training that config.
load_from = "work_dirs/bilinearx1_inception-v2_8xb32_in1k_224px/epoch_100.pth"
