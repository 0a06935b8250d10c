_base_ = [
    "../_base_/models/bilinear_densenet121.py",
    "../_base_/datasets/cats_dogs_keras_300.py",
    "../_base_/schedules/keras_5e.py",
    "../_base_/default_runtime.py",
]

model = dict(resizer=dict(output_size=150), head=dict(num_classes=2, topk=(1,)))
