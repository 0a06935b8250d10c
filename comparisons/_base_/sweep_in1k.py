# The paper's search for the best input of a backbone behind 224 px, with its recipe for
# fine-tuning. The pipeline crops 448 px; smaller inputs are the same crops, shrunk. A
# spec adds `config`. To train from scratch, name the config without `-ft`:
# --cfg-options config=mmresizer::imagenet/bilinearx2_resnet50_8xb32_in1k_224px.py
arms = [
    dict(name="bilinear", baseline=True),
    dict(name="learned", resizer=dict(type="mmresizer.LearnedResizer")),
]
sweep = dict(arms=["bilinear", "learned"], input_sizes=[224, 256, 320, 368, 448])
seeds = [0, 1, 2]

# The configs are for 8 GPUs. A run of a comparison has one: a step takes 8 batches.
options = {"optim_wrapper.accumulative_counts": 8}
