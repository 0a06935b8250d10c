# Antialiased interpolation to larger images: what its bytes buy, beside the 12 px of
# neu-steel_resnet14-cifar_12px.
_base_ = ["_base_/pooled.py"]

config = "mmresizer::neu/bilinear-aax16.67_resnet14-cifar_1xb64_neu-steel_12px.py"
arms = [
    dict(
        name=f"antialiased, {size} px",
        baseline=True,
        resizer=dict(antialias=True),
        output_size=size,
    )
    for size in (16, 20)
]
