# Keras's example: plain SGD at its defaults, from random weights.
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.01))
param_scheduler = []

train_cfg = dict(by_epoch=True, max_epochs=5, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=64)
