import os
import pickle

import pytest
import torch

from mmresizer.models.utils import (
    check_initial_weights,
    check_trained_weights,
    load_checkpoint,
)
from mmresizer.registry import MODELS
from mmresizer.utils import InputError

MODEL = dict(
    type="mmresizer.ResizerClassifier",
    resizer=dict(type="mmresizer.LearnedResizer", output_size=32),
    backbone=dict(type="mmpretrain.ResNet", depth=18, base_channels=8),
    neck=dict(type="mmpretrain.GlobalAveragePooling"),
    head=dict(type="mmpretrain.LinearClsHead", num_classes=5, in_channels=64),
)


def build(**changes):
    return MODELS.build({**MODEL, **changes})


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


def write(path, kind):
    if kind == "truncated":
        torch.save({"state_dict": build().state_dict()}, path)
        path.write_bytes(path.read_bytes()[:-2000])
    elif kind == "text":
        path.write_text("<html>404</html>")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "code":
        torch.save({"state_dict": Harmful()}, path)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps([1, 2]))
    elif kind == "no weights":
        torch.save({"state_dict": {"a": 1}}, path)
    elif kind == "list":
        torch.save([torch.zeros(1)], path)


@pytest.mark.parametrize(
    "kind", ["truncated", "text", "empty", "code", "pickle", "no weights", "list"]
)
def test_refuses_files(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pth"
    write(path, kind)
    with pytest.raises(InputError, match=r"no complete checkpoint|has no weights") as e:
        load_checkpoint(str(path))
    assert str(path) in str(e.value)
    assert "\n" not in str(e.value)
    if kind == "code":
        assert "loading it could run" in str(e.value)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("wrapped", [True, False])
def test_loads_weights(tmp_path, wrapped):
    weights = build().state_dict()
    torch.save({"state_dict": weights} if wrapped else weights, tmp_path / "w.pth")
    assert (
        load_checkpoint(str(tmp_path / "w.pth"))["state_dict"].keys() == weights.keys()
    )


def test_initial_weights(tmp_path):
    """Another head or no resizer is fine, another backbone is not."""
    path = str(tmp_path / "weights.pth")
    head = {**MODEL["head"], "num_classes": 9}
    torch.save(build(head=head).state_dict(), path)
    check_initial_weights(build(), path)
    plain = {k: v for k, v in build().state_dict().items() if "resizer" not in k}
    torch.save({f"module.{k}": v for k, v in plain.items()}, path)
    check_initial_weights(build(), path)
    # 34 has all names and shapes of 18, 18 has half of 34's.
    for depth, other in ((34, 18), (50, 18), (18, 50)):
        backbones = [
            dict(type="mmpretrain.ResNet", depth=d, base_channels=8)
            for d in (depth, other)
        ]
        torch.save(build(backbone=backbones[1]).state_dict(), path)
        with pytest.raises(InputError, match="is of another architecture"):
            check_initial_weights(build(backbone=backbones[0]), path)


def test_trained_weights(tmp_path):
    path = str(tmp_path / "weights.pth")
    torch.save(build().state_dict(), path)
    check_trained_weights(build(), path)
    plain = {k: v for k, v in build().state_dict().items() if "resizer" not in k}
    torch.save(plain, path)
    with pytest.raises(InputError, match=r"does not fit.*missing keys.*resizer\.stem"):
        check_trained_weights(build(), path)
    torch.save({**build().state_dict(), "extra": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"does not fit.*unexpected key.*extra"):
        check_trained_weights(build(), path)
    torch.save(build(head={**MODEL["head"], "num_classes": 9}).state_dict(), path)
    with pytest.raises(InputError, match=r"does not fit.*head\.fc\.weight"):
        check_trained_weights(build(), path)


def test_trained_weights_with_tables(tmp_path):
    """Swin v2 drops its position tables from what it loads and computes them anew."""
    arch = dict(embed_dims=8, depths=[1] * 4, num_heads=[1] * 4)
    backbone = dict(
        type="mmpretrain.SwinTransformerV2",
        arch=dict(arch, extra_norm_every_n_blocks=0),
        img_size=64,
        window_size=[2, 2, 2, 2],
    )
    path = str(tmp_path / "weights.pth")
    torch.save(build(backbone=backbone).state_dict(), path)
    check_trained_weights(build(backbone=backbone), path)
