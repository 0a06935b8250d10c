# The paper's recipe from the baseline's weights; it does not name the number of epochs.
_base_ = ["paper_finetune.py", "../default_runtime.py"]

# MMPretrain's weights, trained on bilinearly resized images of 224 px.
load_from = "https://mmassets.onedl.ai/mmclassification/v0/mobilenet_v2/mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth"
