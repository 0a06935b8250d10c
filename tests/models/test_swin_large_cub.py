"""The Swin-L CUB config, at its real size."""

import subprocess
import sys

import pytest

CODE = """
import resource, sys
import mmresizer, torch
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample
from mmresizer.registry import MODELS

cfg = get_config("mmresizer::cub/resizerx2_swin-large_1xb8_cub_384px.py")
init_default_scope(cfg.default_scope)

# MMPretrain publishes the pretraining as an ImageClassifier of another head.
pretrained = dict(type="SwinTransformer", arch="large", img_size=384)
pretrained["stage_cfgs"] = dict(block_cfgs=dict(window_size=12))
torch.manual_seed(1)
weights = MODELS.build(pretrained).state_dict()
state_dict = {f"backbone.{name}": value for name, value in weights.items()}
state_dict["head.fc.weight"] = torch.zeros(21841, 1536)
torch.save({"meta": {}, "state_dict": state_dict}, sys.argv[1])

cfg.model.backbone.init_cfg.checkpoint = sys.argv[1]
torch.manual_seed(2)
model = MODELS.build({**cfg.model, "data_preprocessor": cfg.data_preprocessor})
model.init_weights()
for name, value in weights.items():
    torch.testing.assert_close(model.backbone.state_dict()[name], value, rtol=0, atol=0)
del weights, state_dict

images = torch.randint(0, 256, (1, 3, 768, 768))
shapes = []
model.backbone.register_forward_pre_hook(lambda m, args: shapes.append(args[0].shape))
data = dict(inputs=images, data_samples=[DataSample().set_gt_label(7)])
data = model.data_preprocessor(data, training=True)
model.train()(**data, mode="loss")["loss"].backward()
assert shapes == [(1, 3, 384, 384)], shapes
for name, parameter in model.named_parameters():
    assert parameter.grad is not None, name
assert model.resizer.stem.conv1.weight.grad.abs().max() > 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.slow
def test_forward_and_backward_at_768_px(tmp_path):
    """Loads a checkpoint in the pretraining's format; one step of a batch of 1."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, tmp_path / "swin-large.pth"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.splitlines()[-1]) < 16, "GiB"
