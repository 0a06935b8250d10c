_base_ = ["resizerx4_mobilenet-v2_1xb32_flowers12_56px.py"]

# What tools/deploy/calibrate.py found with the weights of the model above.
model = dict(
    resizer=dict(output_range=[[-20.805, -20.909, -44.747], [23.349, 33.627, 19.739]])
)
