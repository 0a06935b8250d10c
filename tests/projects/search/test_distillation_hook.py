from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.structures import DataSample

from mmresizer.apis import train_model
from mmresizer.registry import MODELS
from mmresizer.utils import InputError
from projects.search.hooks import DistillationHook


@pytest.fixture
def cfg(demo_config):
    return Config.fromfile(demo_config("resizerx4"))


@pytest.fixture
def model(cfg):
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model.eval()  # batch norms as in the teacher


@pytest.fixture
def weights(model, tmp_path):
    path = tmp_path / "teacher.pth"
    torch.save(model.state_dict(), path)
    return str(path)


def start(model, checkpoint, **kwargs):
    hook = DistillationHook(checkpoint, **kwargs)
    hook.before_train(SimpleNamespace(model=model, logger=None))


def batch():
    torch.manual_seed(1)
    return torch.randn(2, 3, 96, 96), [DataSample().set_gt_label(0) for _ in range(2)]


def test_loss_is_the_angle_between_the_features(model, weights):
    images, samples = batch()
    plain = model.loss(images, samples)["loss"]
    with torch.no_grad():
        (resized,) = model.neck(model.backbone(model.resizer(images)))
        (full,) = model.neck(model.backbone(images))
    a, b = resized.double().numpy(), full.double().numpy()
    cos = (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1))

    start(model, weights, weight=3.0)
    losses = model.loss(images, samples)
    assert losses["loss_distillation"].item() == pytest.approx(
        3 * (1 - cos.mean()), rel=1e-4
    )
    assert losses["loss_distillation"] > 1e-3
    assert losses["loss"] == plain

    losses["loss_distillation"].backward()
    gradients = [p.grad for p in model.resizer.parameters()]
    assert all(g is not None for g in gradients)
    assert any(g.abs().sum() > 0 for g in gradients)


def test_a_model_that_does_not_resize_has_nothing_to_learn(cfg, tmp_path):
    cfg.model.resizer = dict(type="mmresizer.InterpolationResizer", scale_factor=1)
    model = MODELS.build(cfg.model).eval()
    path = str(tmp_path / "same.pth")
    torch.save(model.state_dict(), path)
    start(model, path)
    assert model.loss(*batch())["loss_distillation"].item() == pytest.approx(
        0, abs=1e-6
    )


def test_the_teacher_is_no_part_of_the_model(cfg, model, weights, tmp_path):
    before = torch.load(weights)
    path = str(tmp_path / "other.pth")
    torch.save(MODELS.build(cfg.model).state_dict(), path)  # drawn anew
    start(model, path)
    assert set(model.state_dict()) == set(before)
    assert all(torch.equal(v, before[name]) for name, v in model.state_dict().items())
    # Of other weights than the student's, it differs even on the same image.
    model.resizer.forward = lambda x: x
    assert model.loss(*batch())["loss_distillation"] > 1e-3


def test_trains(cfg, weights, tmp_path):
    cfg.launcher = "none"
    cfg.work_dir = str(tmp_path / "run")
    cfg.experiment_name = f"distillation_{tmp_path.name}"
    cfg.custom_hooks = [dict(type="mmresizer.DistillationHook", checkpoint=weights)]
    train_model(cfg)
    (scalars,) = (tmp_path / "run").glob("*/vis_data/scalars.json")
    assert "loss_distillation" in scalars.read_text()


def test_refuses_weights_of_another_architecture(model, tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="is of another architecture"):
        start(model, str(path))


@pytest.mark.parametrize("weight", [0, -1, float("inf"), "1"])
def test_refuses_a_weight(weight):
    with pytest.raises(InputError, match="weight must be a positive number"):
        DistillationHook("teacher.pth", weight=weight)


@pytest.mark.parametrize("layer", ["nek", "neck.nothing"])
def test_refuses_a_layer_that_is_not_there(model, weights, layer):
    with pytest.raises(InputError, match=f"layer must be a module.*'{layer}'"):
        start(model, weights, layer=layer)


def test_refuses_a_layer_with_maps(model, weights):
    start(model, weights, layer="backbone")
    with pytest.raises(InputError, match="must be a vector per image, but has"):
        model.loss(*batch())
