_base_ = ["resizerx4_resnet18-cifar-w16_1xb32_fine-textures_24px.py"]

# What tools/deploy/calibrate.py found with the weights of the model above.
model = dict(
    resizer=dict(output_range=[[-16.278, -35.699, -21.763], [15.281, 31.332, 25.628]])
)
