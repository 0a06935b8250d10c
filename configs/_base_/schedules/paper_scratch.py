# The paper's recipe from random weights; it names neither weight decay (here TF-slim's)
# nor the number of epochs.
optim_wrapper = dict(
    optimizer=dict(type="SGD", lr=0.05, momentum=0.9, weight_decay=4e-5)
)
param_scheduler = [dict(type="StepLR", by_epoch=True, step_size=2, gamma=0.94)]

train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=1)
val_cfg = dict()
test_cfg = dict()
auto_scale_lr = dict(base_batch_size=256)
