from copy import deepcopy

import pytest
import torch
import torch.fx.experimental.optimization
import torch.nn.functional as F  # noqa: N812
from mmcv.cnn import fuse_conv_bn
from mmengine.optim import build_optim_wrapper
from mmengine.runner.checkpoint import load_checkpoint
from mmpretrain.structures import DataSample

from mmresizer.registry import MODELS
from mmresizer.utils import InputError
from mmresizer_client import parse_codec

BACKBONE = dict(type="mmpretrain.ResNet", depth=18, base_channels=8, out_indices=(3,))
PLAIN = dict(
    type="mmpretrain.ImageClassifier",
    backbone=BACKBONE,
    neck=dict(type="mmpretrain.GlobalAveragePooling"),
    head=dict(type="mmpretrain.LinearClsHead", num_classes=5, in_channels=64),
    data_preprocessor=dict(mean=[120.0] * 3, std=[60.0] * 3, to_rgb=True),
)
BILINEAR = dict(type="mmresizer.InterpolationResizer", output_size=32)
LEARNED = dict(type="mmresizer.LearnedResizer", output_size=32)


def build(cfg=PLAIN, resizer=None):
    torch.manual_seed(0)
    cfg = deepcopy(cfg)
    if resizer is not None:
        cfg.update(type="mmresizer.ResizerClassifier", resizer=deepcopy(resizer))
    model = MODELS.build(cfg)
    model.init_weights()
    return model


@pytest.fixture
def batch():
    torch.manual_seed(1)
    samples = [DataSample().set_gt_label(i) for i in range(4)]
    return torch.randn(4, 3, 80, 60), samples


def load(model, state_dict):
    model.load_state_dict(state_dict, strict=False)
    return model.eval()


def test_zero_init_equals_plain_classifier(batch):
    """The same logits as the plain classifier fed with interpolated images."""
    images, _ = batch
    plain = build().eval()
    model = load(build(resizer={**LEARNED, "zero_init": True}), plain.state_dict())
    expected = plain(F.interpolate(images, (32, 32), mode="bilinear"))
    assert expected.shape == (4, 5)
    torch.testing.assert_close(model(images), expected, rtol=0, atol=0)
    trained = load(build(resizer=LEARNED), plain.state_dict())
    assert (trained(images) - expected).abs().max() > 1e-3


@pytest.mark.parametrize("resizer", [BILINEAR, LEARNED])
def test_every_path_resizes(batch, resizer):
    """Each path equals the plain classifier's on the resized images."""
    images, samples = batch
    plain = build().eval()
    model = load(build(resizer=resizer), plain.state_dict())
    resized = model.resizer(images)
    assert resized.shape == (4, 3, 32, 32)
    for stage in ("backbone", "neck", "pre_logits"):
        actual = model.extract_feat(images, stage=stage)
        expected = plain.extract_feat(resized, stage=stage)
        torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(model(images, mode="tensor"), plain(resized))
    torch.testing.assert_close(
        model(images, samples, mode="loss"), plain(resized, samples, mode="loss")
    )
    for a, b in zip(
        model(images, mode="predict"), plain(resized, mode="predict"), strict=True
    ):
        torch.testing.assert_close(a.pred_score, b.pred_score)


def test_trains_every_parameter(batch):
    images, samples = batch
    cfg = deepcopy(PLAIN)
    cfg["backbone"]["zero_init_residual"] = False
    model = build(cfg, resizer=LEARNED)
    model.train()(images, samples, mode="loss")["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_rate_loss(batch):
    """A loss beside that of the head; a step against it lowers the bits of a codec."""
    images, samples = batch
    cfg = {**PLAIN, "rate_loss": dict(type="mmresizer.RateLoss", loss_weight=10.0)}
    resizer = {**LEARNED, "output_range": [-8, 8]}
    model, plain = build(cfg, resizer), build(PLAIN, resizer)
    losses, expected = model.loss(images, samples), plain.loss(images, samples)
    torch.testing.assert_close(losses["loss"], expected["loss"], rtol=0, atol=0)
    assert expected.keys() == {"loss"}
    codec = parse_codec("webp+planes")

    def count_bytes():
        with torch.no_grad():
            levels = model.resizer.eight_bit.encode(model.resizer(images))
        return len(codec.encode(levels[0].permute(1, 2, 0).numpy()))

    before = count_bytes()
    optimizer = torch.optim.Adam(model.resizer.parameters(), lr=1e-2)
    for _ in range(5):
        optimizer.zero_grad()
        model.loss(images, samples)["loss_rate"].backward()
        optimizer.step()
    assert count_bytes() < 0.9 * before
    with pytest.raises(InputError, match="must have an output_range"):
        build(cfg, LEARNED)


def test_checkpoints_of_the_plain_classifier(tmp_path, log):
    """Load into it, and the other way round; a message names what is fresh."""
    plain, model = build(), build(resizer=LEARNED)
    torch.save({"state_dict": plain.state_dict()}, tmp_path / "plain.pth")
    torch.save({"state_dict": model.state_dict()}, tmp_path / "resizer.pth")

    fresh = build(resizer=LEARNED)
    before = deepcopy(fresh.resizer.state_dict())
    for parameter in fresh.backbone.parameters():
        parameter.data.add_(1)
    load_checkpoint(fresh, str(tmp_path / "plain.pth"))
    message = next(message for message in log if "no weights for" in message)
    assert "for 17 of the resizer's 17 parameter tensors (12,035" in message
    assert "resizer.stem.conv1.weight" in message
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(fresh.state_dict()[name], value)
    torch.testing.assert_close(fresh.resizer.state_dict(), before)

    other = build()
    for parameter in other.parameters():
        parameter.data.add_(1)
    load_checkpoint(other, str(tmp_path / "resizer.pth"))
    for name, value in other.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name])

    # No word where nothing is missing.
    log.clear()
    load_checkpoint(fresh, str(tmp_path / "resizer.pth"))
    load_checkpoint(build(resizer=BILINEAR), str(tmp_path / "plain.pth"))
    assert not any("no weights for" in message for message in log)
    with pytest.raises(RuntimeError, match=r"resizer\.out\.weight"):
        fresh.load_state_dict(plain.state_dict(), strict=True)


def test_layer_wise_lr_decay():
    """The resizer takes the full rate; the backbone's layers decay as before."""
    cfg = deepcopy(PLAIN)
    cfg["backbone"] = dict(
        type="mmpretrain.VisionTransformer", arch="deit-tiny", img_size=32, patch_size=8
    )
    cfg["head"] = dict(
        type="mmpretrain.VisionTransformerClsHead", num_classes=5, in_channels=192
    )
    cfg.pop("neck")
    optim_wrapper = dict(
        optimizer=dict(type="AdamW", lr=1.0, weight_decay=0.05),
        constructor="mmpretrain.LearningRateDecayOptimWrapperConstructor",
        paramwise_cfg=dict(layer_decay_rate=0.5),
    )
    rates = []
    for model in (build(cfg), build(cfg, LEARNED)):
        wrapper = build_optim_wrapper(model, deepcopy(optim_wrapper))
        groups = wrapper.optimizer.param_groups
        rates.append({group["param_name"]: group["lr"] for group in groups})
    plain, with_resizer = rates
    added = with_resizer.keys() - plain.keys()
    assert len(added) == 17
    assert {with_resizer[name] for name in added} == {1.0}
    assert {name: with_resizer[name] for name in plain} == plain
    assert plain["backbone.cls_token"] == 0.5**13  # 12 layers and the embedding


def test_list_backbone(batch, tmp_path):
    """The form of stock classes: same outputs, but keys of another prefix."""
    images, _ = batch
    torch.manual_seed(0)
    cfg = deepcopy(PLAIN)
    cfg["backbone"] = [deepcopy(LEARNED), deepcopy(BACKBONE)]
    listed = MODELS.build(cfg).eval()
    model = build(resizer=LEARNED)
    state = {
        name.replace("backbone.0.", "resizer.").replace("backbone.1.", "backbone."): v
        for name, v in listed.state_dict().items()
    }
    model.load_state_dict(state, strict=True)
    torch.testing.assert_close(listed(images), model.eval()(images), rtol=0, atol=0)

    # A plain checkpoint needs `revise_keys`.
    plain = build()
    torch.save(plain.state_dict(), tmp_path / "plain.pth")
    revise_keys = [(r"^backbone\.", "backbone.1.")]
    load_checkpoint(listed, str(tmp_path / "plain.pth"), revise_keys=revise_keys)
    torch.testing.assert_close(
        listed.backbone[1].state_dict(), plain.backbone.state_dict()
    )
    # There is no layer-wise decay of the learning rate.
    with pytest.raises(NotImplementedError):
        listed.get_layer_depth("backbone.1.conv1.weight")


def test_symbolic_trace_and_its_fusion(batch):
    """torch.fx goes through the resizer to the backbone."""
    images, _ = batch
    model = build(resizer=LEARNED).eval()
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(m.running_mean, -0.5, 0.5)
            torch.nn.init.uniform_(m.running_var, 0.5, 2)
    options = dict(data_samples=None, mode="tensor")
    graph = torch.fx.symbolic_trace(model, concrete_args=options)
    for fused in (
        torch.fx.experimental.optimization.fuse(graph, no_trace=True),
        fuse_conv_bn(deepcopy(model)),
    ):
        norms = [m for m in fused.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        assert len(norms) == 1  # behind the activation of the stem
        args = () if isinstance(fused, type(model)) else tuple(options.values())
        with torch.no_grad():
            torch.testing.assert_close(
                fused(images, *args), model(images), rtol=1e-4, atol=1e-5
            )
