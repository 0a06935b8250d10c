# The paper's recipe from the baseline's weights; it does not name the number of epochs.
_base_ = ["paper_finetune.py", "../default_runtime.py"]

# MMPretrain's weights, trained on bilinearly resized images of 224 px.
load_from = "https://mmassets.onedl.ai/mmclassification/v0/resnet/resnet50_8xb32_in1k_20210831-ea4938fc.pth"
