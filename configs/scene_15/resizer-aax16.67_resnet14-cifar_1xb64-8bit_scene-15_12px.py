_base_ = ["resizer-aax16.67_resnet14-cifar_1xb64_scene-15_12px.py"]

# What tools/deploy/calibrate.py found with the weights of the model above.
model = dict(
    resizer=dict(output_range=[[-12.563, -7.601, -9.821], [10.61, 10.396, 9.578]])
)
