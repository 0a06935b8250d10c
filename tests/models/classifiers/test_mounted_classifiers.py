"""ResizerTimmClassifier and ResizerHuggingFaceClassifier."""

from copy import deepcopy

import pytest
import torch
from mmengine.model import ExponentialMovingAverage
from mmengine.runner.checkpoint import load_checkpoint
from mmpretrain.structures import DataSample

from mmresizer.registry import MODELS
from mmresizer.utils import InputError

RESIZER = dict(type="mmresizer.LearnedResizer", output_size=32)


def timm_config(tmp_path):
    pytest.importorskip("timm")
    return "TimmClassifier", dict(model_name="resnet10t", num_classes=5)


def hugging_face_config(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=5
    )
    config.save_pretrained(tmp_path / "model")
    return "HuggingFaceClassifier", dict(model_name=str(tmp_path / "model"))


@pytest.fixture(params=[timm_config, hugging_face_config])
def build(request, tmp_path):
    name, kwargs = request.param(tmp_path)

    def build(resizer=False):
        torch.manual_seed(0)
        if not resizer:
            return MODELS.build(dict(type=f"mmpretrain.{name}", **kwargs))
        model_type = f"mmresizer.Resizer{name}"
        return MODELS.build(dict(type=model_type, resizer=deepcopy(RESIZER), **kwargs))

    return build


@pytest.fixture
def batch():
    torch.manual_seed(1)
    samples = [DataSample().set_gt_label(i) for i in range(4)]
    return torch.randn(4, 3, 80, 60), samples


@pytest.fixture
def twins(build, batch):
    """A model, the same behind a resizer, and what that makes of the batch."""
    plain = build().eval()
    model = build(resizer=True).eval()
    model.load_state_dict(plain.state_dict(), strict=False)
    resized = model.model.resizer(batch[0])
    return plain, model, resized


def test_every_path_resizes(twins, batch):
    images, samples = batch
    plain, model, resized = twins
    assert resized.shape == (4, 3, 32, 32)
    torch.testing.assert_close(model(images), plain(resized))
    torch.testing.assert_close(
        model(images, samples, mode="loss"), plain(resized, samples, mode="loss")
    )
    for a, b in zip(
        model(images, mode="predict"), plain(resized, mode="predict"), strict=True
    ):
        torch.testing.assert_close(a.pred_score, b.pred_score)


def test_the_library_s_own_calls_resize(twins, batch):
    images, _ = batch
    plain, model, resized = twins
    if hasattr(plain.model, "forward_features"):
        calls = [
            lambda m, x: m.extract_feat(x),
            lambda m, x: m.model(x=x),
            lambda m, x: m.model.forward_features(x),
            lambda m, x: m.model.forward_intermediates(x),
        ]
    else:
        calls = [
            lambda m, x: m.model(pixel_values=x).logits,
            lambda m, x: m.model.resnet(x).last_hidden_state,
            lambda m, x: m.model.resnet(pixel_values=x).last_hidden_state,
        ]
    for call in calls:
        torch.testing.assert_close(call(model, images), call(plain, resized))


@pytest.mark.parametrize("name", ["save_pretrained", "from_pretrained", "push_to_hub"])
def test_refuses_hugging_face_s_files(name, tmp_path):
    _, kwargs = hugging_face_config(tmp_path)
    model = MODELS.build(
        dict(type="mmresizer.ResizerHuggingFaceClassifier", resizer=RESIZER, **kwargs)
    )
    with pytest.raises(InputError, match=f"{name} would lose the resizer"):
        getattr(model.model, name)(tmp_path / "model")


def test_saves_and_restores_the_resizer(build, batch, tmp_path, log):
    images, _ = batch
    model = build(resizer=True).eval()
    torch.save({"state_dict": model.state_dict()}, tmp_path / "resizer.pth")
    assert "resizer.stem.conv1.weight" in model.state_dict()
    other = build(resizer=True).eval()
    for parameter in other.parameters():
        parameter.data.add_(0.1)
    assert (other(images) - model(images)).abs().max() > 1e-3
    load_checkpoint(other, str(tmp_path / "resizer.pth"))
    torch.testing.assert_close(other(images), model(images), rtol=0, atol=0)
    assert not any("no weights for" in message for message in log)


def test_loads_plain_checkpoints(build, tmp_path, log):
    plain = build()
    for parameter in plain.parameters():
        parameter.data.add_(0.1)
    torch.save({"state_dict": plain.state_dict()}, tmp_path / "plain.pth")
    model = build(resizer=True)
    load_checkpoint(model, str(tmp_path / "plain.pth"))
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value)
    message = next(message for message in log if "no weights for" in message)
    assert "for 17 of the resizer's 17 parameter tensors (12,035" in message
    assert "resizer.stem.conv1.weight" in message


def test_trains_every_parameter(build, batch):
    images, samples = batch
    model = build(resizer=True).train()
    model(images, samples, mode="loss")["loss"].backward()
    for name, parameter in model.model.resizer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_copies_use_their_own_resizer(build, batch):
    images, _ = batch
    model = build(resizer=True).eval()
    before = model(images)
    ema = ExponentialMovingAverage(model).eval()
    torch.nn.init.zeros_(model.model.resizer.out.weight)
    assert (model(images) - before).abs().max() > 1e-3
    torch.testing.assert_close(ema.module(images), before, rtol=0, atol=0)


def test_averaged_weights_are_saved_and_restored(build):
    """As EMAHook does it, which swaps the two by their names."""
    model = build(resizer=True)
    ema = ExponentialMovingAverage(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    ema.update_parameters(model)  # the first one copies
    ema.update_parameters(model)
    saved = ema.state_dict()
    assert list(saved) == ["steps", *(f"module.{name}" for name in model.state_dict())]
    assert "module.resizer.out.weight" in saved
    restored = ExponentialMovingAverage(build(resizer=True))
    restored.load_state_dict(saved)
    assert restored.steps == 2
    for name, value in model.state_dict().items():
        torch.testing.assert_close(restored.module.state_dict()[name], value)


def test_init_weights_keeps_the_library_s_weights(build):
    """mmengine would call the ``init_weights`` of timm's transformers."""
    model = build(resizer=True)
    before = deepcopy(model.state_dict())
    model.init_weights()
    for name, value in model.state_dict().items():
        if name.startswith("resizer.out.weight"):
            assert (value - before[name]).abs().max() > 0
        elif not name.startswith("resizer."):
            torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_init_weights_keeps_a_transformer():
    pytest.importorskip("timm")
    kwargs = dict(model_name="vit_tiny_patch16_224", img_size=32, num_classes=5)
    model = MODELS.build(
        dict(type="mmresizer.ResizerTimmClassifier", resizer=RESIZER, **kwargs)
    )
    before = model.model.pos_embed.detach().clone()
    model.init_weights()
    torch.testing.assert_close(model.model.pos_embed.detach(), before, rtol=0, atol=0)
