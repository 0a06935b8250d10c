# The pooled resizer, trained in 8 bits: what fewer bytes cost in accuracy.
_base_ = ["_base_/pooled.py"]

config = "mmresizer::neu/resizer-aax16.67_resnet14-cifar_1xb64_neu-steel_12px.py"
_weights = [0.05, 0.2]
arms = [
    dict(name="8 bits", baseline=True, resizer=dict(output_range=[-8, 8])),
    *[
        dict(
            name=f"8 bits, rate {weight:g}",
            resizer=dict(output_range=[-8, 8]),
            options={
                "model.rate_loss": dict(type="mmresizer.RateLoss", loss_weight=weight)
            },
        )
        for weight in _weights
    ],
]
