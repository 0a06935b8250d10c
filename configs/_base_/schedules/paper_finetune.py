# The paper's recipe from the baseline's weights; it does not name the number of epochs.
_base_ = ["paper_scratch.py"]

optim_wrapper = dict(optimizer=dict(lr=0.005))
train_cfg = dict(max_epochs=30)
