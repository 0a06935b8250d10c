# The paper's recipe from the baseline's weights; it does not name the number of epochs.
_base_ = ["paper_finetune.py", "../default_runtime.py"]

# MMPretrain's conversion of the authors' weights, trained on images of 224 px.
load_from = "https://mmassets.onedl.ai/mmclassification/v0/efficientnet/efficientnet-b0_3rdparty_8xb32_in1k_20220119-a7e2a0b1.pth"
