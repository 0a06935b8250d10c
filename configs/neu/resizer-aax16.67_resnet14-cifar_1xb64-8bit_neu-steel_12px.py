_base_ = ["resizer-aax16.67_resnet14-cifar_1xb64_neu-steel_12px.py"]

# What tools/deploy/calibrate.py found with the weights of the model above.
model = dict(
    resizer=dict(output_range=[[-9.313, -14.368, -10.132], [12.856, 7.195, 12.499]])
)
