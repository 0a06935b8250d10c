# The paper's recipe from the baseline's weights; it does not name the number of epochs.
_base_ = ["paper_finetune.py", "../default_runtime.py"]

# MMPretrain's weights, trained on bilinearly resized images of 224 px.
load_from = "https://mmassets.onedl.ai/mmclassification/v0/densenet/densenet121_4xb256_in1k_20220426-07450f99.pth"
