"""Exported files: what they give, what they say, and what is refused."""

import json
from copy import deepcopy
from importlib import metadata

import numpy as np
import onnxruntime
import pytest
import torch
import transformers
from interpolations import INTERPOLATIONS
from small_classifiers import MEAN, SMALL, STD, build_classifier
from torch import nn

from mmresizer.deploy import FORMATS, PARTS, export_model, read_card
from mmresizer.deploy import export as export_module
from mmresizer.models import InterpolationResizer, LearnedResizer, MULLERResizer
from mmresizer.registry import MODELS
from mmresizer.utils import InputError


def run(file, images):
    format = json.loads((file.parent / f"{file.name}.json").read_text())["format"]
    with torch.no_grad():
        return FORMATS[format].load(file)(images)


def close(actual, expected):
    scale = float(expected.abs().max())
    assert actual.shape == expected.shape
    assert float((actual - expected).abs().max()) < 1e-4 * scale


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("part", PARTS)
def test_gives_what_the_model_gives(part, format, tmp_path):
    model = build_classifier()
    file = export_model(model, tmp_path, part, format)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *([f"resizerclassifier_{part}.bin"] if format == "openvino" else []),
        f"resizerclassifier_{part}{FORMATS[format].suffix}",
        f"resizerclassifier_{part}{FORMATS[format].suffix}.json",
    ]
    # Sizes of its own, not those that the export checks.
    for size in [(4, 3, 50, 37), (1, 3, 19, 90)]:
        images = torch.randn(size, generator=torch.Generator().manual_seed(5))
        with torch.no_grad():
            small, logits = model.resizer(images), model(images)
        given = small if part == "backbone" else images
        close(run(file, given), small if part == "resizer" else logits)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("to_rgb", [True, False])
def test_bytes_between_the_parts(to_rgb, format, tmp_path):
    """Levels from one file to the other give what the model gives."""
    low, high = [-2.5, -3.0, -2.0], [2.0, 2.5, 3.5]
    model = build_classifier(to_rgb, output_size=16, output_range=(low, high))
    files = [
        export_model(model, tmp_path, part, format, uint8=part == "resizer")
        for part in ("resizer", "backbone", "whole")
    ]
    rgb = torch.randint(256, (4, 3, 50, 37), dtype=torch.uint8)
    pixels = rgb if to_rgb else rgb.flip(1)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    with torch.no_grad():
        small = model.resizer((pixels - mean) / std)
        expected = model((pixels - mean) / std)
    levels = run(files[0], rgb)
    assert levels.dtype == torch.uint8
    steps = [(b - a) / 255 for a, b in zip(low, high, strict=True)]
    values = levels * torch.tensor(steps).view(3, 1, 1) + torch.tensor(low).view(
        3, 1, 1
    )
    # One that lies between two levels may go either way.
    assert ((values - small).abs() > 1e-5).float().mean() < 0.01
    same = levels == model.resizer.eight_bit.encode(small)
    assert same.float().mean() > 0.99
    close(run(files[1], model.resizer.eight_bit.encode(small)), expected)
    difference = (run(files[2], (pixels - mean) / std) - expected).abs().max()
    assert difference < 1e-2 * expected.abs().max()
    card = read_card(files[1])
    assert card["input"]["type"] == "uint8"
    assert card["resizer"]["output_range"] == [low, high]
    assert card["input"]["values"] == "levels of output_range"


def test_parts_with_more_channels_between_them(tmp_path):
    model = build_classifier(output_size=16, out_channels=5, output_range=(-3, 3))
    files = [
        export_model(model, tmp_path, part, "torch-export")
        for part in ("resizer", "backbone")
    ]
    images = torch.randn(2, 3, 50, 37, generator=torch.Generator().manual_seed(5))
    levels = run(files[0], images)
    assert levels.shape == (2, 5, 16, 16)
    with torch.no_grad():
        expected = model.backbone(levels * (6 / 255) - 3)[-1].mean((2, 3))
        close(run(files[1], levels), model.head.fc(expected))


@pytest.mark.parametrize(
    ("output", "is_wrong"),
    [
        (lambda levels: levels, False),
        (lambda levels: levels.float(), True),
        (lambda levels: levels + 1, True),
        (lambda levels: torch.cat([levels[:, :2], levels[:, 2:] ^ 2], 1), True),
    ],
)
def test_checks_levels(output, is_wrong, tmp_path, monkeypatch):
    right = FORMATS["torchscript"]
    wrong = right._replace(load=lambda path: lambda x: output(right.load(path)(x)))
    monkeypatch.setitem(export_module.FORMATS, "torchscript", wrong)
    model = build_classifier(output_size=16, output_range=(-3, 3))
    if is_wrong:
        with pytest.raises(InputError, match="differs from the model by"):
            export_model(model, tmp_path, "resizer", "torchscript")
    else:
        export_model(model, tmp_path, "resizer", "torchscript")
    assert any(tmp_path.iterdir()) is not is_wrong


@pytest.mark.parametrize("to_rgb", [True, False])
@pytest.mark.parametrize("part", ["resizer", "whole"])
def test_normalises_pixels_as_numpy_does(part, to_rgb, tmp_path):
    model = build_classifier(to_rgb)
    file = export_model(model, tmp_path, part, "torch-export", uint8=True)
    rgb = np.random.default_rng(0).integers(0, 256, (2, 3, 33, 41), np.uint8)
    # The config's numbers are in the order of the channels that the backbone sees.
    pixels = rgb if to_rgb else rgb[:, ::-1]
    mean, std = (np.array(v).reshape(1, 3, 1, 1) for v in (MEAN, STD))
    normalised = torch.from_numpy((pixels - mean) / std).float()
    with torch.no_grad():
        expected = (model.resizer if part == "resizer" else model)(normalised)
    close(run(file, torch.from_numpy(rgb)), expected)


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("size", [dict(output_size=24), dict(scale_factor=(0.5, 2.5))])
@pytest.mark.parametrize(("interpolation", "antialias"), INTERPOLATIONS)
@pytest.mark.parametrize(
    "resizer", [InterpolationResizer, LearnedResizer, MULLERResizer]
)
def test_all_resizers(resizer, interpolation, antialias, size, format, tmp_path):
    torch.manual_seed(0)
    kwargs = dict(interpolation=interpolation, antialias=antialias, **size)
    module = resizer(**kwargs).eval()
    model = nn.Sequential(module)
    fault = None
    if (interpolation, format) == ("area", "torch-export") and "scale_factor" in size:
        fault = "cannot be exported to torch-export"
    elif format == "openvino" and interpolation == "nearest":
        fault = "cannot be exported to openvino"
    elif format == "openvino" and resizer is MULLERResizer:
        fault = "in openvino does not load"
    if fault:
        with pytest.raises(InputError, match=fault):
            export_model(model, tmp_path, "resizer", format)
        assert not any(tmp_path.iterdir())
        return
    file = export_model(model, tmp_path, "resizer", format)
    images = torch.randn(1, 3, 37, 51, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        close(run(file, images), module(images))


def build_of_timm(folder):
    return dict(type="mmresizer.ResizerTimmClassifier", model_name="resnet10t")


def build_of_hugging_face(folder):
    transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=3
    ).save_pretrained(folder / "model")
    return dict(
        type="mmresizer.ResizerHuggingFaceClassifier",
        model_name=str(folder / "model"),
    )


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("build", [build_of_timm, build_of_hugging_face])
def test_models_of_other_libraries(build, format, tmp_path):
    torch.manual_seed(0)
    resizer = dict(type="mmresizer.LearnedResizer", output_size=32)
    model = MODELS.build(dict(build(tmp_path), resizer=resizer)).eval()
    images = torch.randn(2, 3, 61, 47)
    with torch.no_grad():
        expected, small = model(images), model.model.resizer(images)
    for part, given in (("whole", images), ("backbone", small)):
        file = export_model(model, tmp_path, part, format)
        close(run(file, given), expected)
    with torch.no_grad():
        close(model(images), expected)  # the export took a copy


@pytest.mark.parametrize("format", FORMATS)
def test_swin(format, tmp_path):
    """MMPretrain's windows would keep the number of images of the export."""
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type="mmresizer.ResizerClassifier",
            resizer=dict(SMALL, type="mmresizer.LearnedResizer", output_size=(32, 64)),
            backbone=dict(
                type="SwinTransformer",
                arch=dict(embed_dims=8, depths=[2, 2], num_heads=[2, 2]),
                img_size=(32, 64),
                window_size=4,
                out_indices=(1,),
            ),
            neck=dict(type="GlobalAveragePooling"),
            head=dict(type="LinearClsHead", num_classes=3, in_channels=16),
        )
    ).eval()
    images = torch.randn(4, 3, 61, 47)
    with torch.no_grad():
        expected = model(images)
    close(run(export_model(model, tmp_path, "whole", format), images), expected)


def test_card(tmp_path):
    model = build_classifier(output_size=16)
    model._dataset_meta = {"classes": ("a", "b", "c")}
    file = export_model(model, tmp_path, "resizer", uint8=True)
    card = json.loads((tmp_path / f"{file.name}.json").read_text())
    assert card["input"]["shape"] == ["N", 3, "H", "W"]
    assert card["input"]["type"] == "uint8"
    assert card["output"]["shape"] == ["N", 3, 16, 16]
    assert card["classes"] == ["a", "b", "c"]
    assert card["normalization"] == dict(order="RGB", mean=MEAN, std=STD)
    assert card["versions"]["onnxruntime"] == metadata.version("onnxruntime")
    assert len(card["checks"]) == 5
    assert all(check["relative_error"] < 1e-4 for check in card["checks"])
    # ONNX Runtime alone reads what is in the file.
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    inside = json.loads(session.get_modelmeta().custom_metadata_map["mmresizer"])
    assert inside == {k: v for k, v in card.items() if k not in ("sha256", "checks")}
    assert session.get_inputs()[0].type == "tensor(uint8)"
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]


@pytest.mark.parametrize("format", FORMATS)
def test_card_is_in_the_file(format, tmp_path):
    model = build_classifier()
    file = export_model(model, tmp_path, "resizer", format)
    card = json.loads((tmp_path / f"{file.name}.json").read_text())
    inside = read_card(file)
    assert inside["weights_sha256"] == card["weights_sha256"]
    other = deepcopy(model)
    with torch.no_grad():
        other.head.fc.bias[0] += 1e-6
    again = read_card(export_model(other, tmp_path, "resizer", format))
    assert again["weights_sha256"] != card["weights_sha256"]


def test_model_stays_as_it_is(tmp_path):
    model = build_classifier().train()
    model.backbone.eval()  # frozen
    before = deepcopy(model.state_dict())
    export_model(model, tmp_path, "whole", "torch-export", uint8=True)
    assert model.training
    assert not any(module.training for module in model.backbone.modules())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (lambda x: x[..., :16, :16] * 1.001, "differs from the model by"),
        (lambda x: x * float("nan"), "differs from the model by"),
        (lambda x: x[:1], "differs from the model by inf"),
        (lambda x: 1 / 0, r"does not take images of shape 2x3x32x48.*ZeroDivision"),
    ],
)
def test_writes_nothing_that_is_wrong(output, sentence, tmp_path, monkeypatch):
    wrong = FORMATS["torchscript"]._replace(load=lambda path: output)
    monkeypatch.setitem(export_module.FORMATS, "torchscript", wrong)
    (tmp_path / "resizerclassifier_whole.torchscript").write_text("older")
    with pytest.raises(InputError, match=f"{sentence}.*nothing is written"):
        export_model(build_classifier(), tmp_path, "whole", "torchscript")
    (only,) = tmp_path.iterdir()
    assert only.read_text() == "older"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (dict(part="head"), "part must be one of resizer, backbone, whole, got 'head'"),
        (dict(format="tflite"), "format must be one of onnx, torch-export, torchscr"),
        (
            dict(part="backbone", uint8=True),
            "is for parts that take images, but the part",
        ),
        (dict(uint8="no"), "uint8 must be True or False"),
        (dict(checkpoint="a.pth"), "a checkpoint goes with a config"),
    ],
)
def test_refuses(arguments, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        export_model(build_classifier(), tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_refuses_parts_that_a_model_does_not_have(tmp_path):
    other = nn.Sequential(InterpolationResizer(8))
    with pytest.raises(InputError, match="of a Sequential only the part 'resizer'"):
        export_model(other, tmp_path, "whole")
    with pytest.raises(InputError, match="must have one resizer, but it has 0"):
        export_model(nn.Linear(1, 1), tmp_path, "resizer")
    with pytest.raises(InputError, match="RGB, but the resizer has 4"):
        export_model(
            nn.Sequential(LearnedResizer(8, in_channels=4)), tmp_path, "resizer",
            uint8=True,
        )  # fmt: skip
    assert not any(tmp_path.iterdir())


def test_names_a_package_that_is_missing(tmp_path, monkeypatch):
    lacking = FORMATS["onnx"]._replace(packages=("onnx", "absent-package"))
    monkeypatch.setitem(export_module.FORMATS, "onnx", lacking)
    with pytest.raises(InputError, match=r"needs absent-package.*pip install onnx abs"):
        export_model(build_classifier(), tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda model: model.half(), "only weights of torch.float32 .*torch.float16"),
        (lambda model: delattr(model, "head"), "must give one tensor, but .* a tuple"),
    ],
)
def test_refuses_models(change, sentence, tmp_path):
    model = build_classifier()
    change(model)
    with pytest.raises(InputError, match=sentence):
        export_model(model, tmp_path / "out", "whole", "torchscript")
    assert not (tmp_path / "out").exists()


def test_a_backbone_of_one_size_behind_a_scale_factor(tmp_path):
    """Its last layer takes maps of one size."""
    model = build_classifier(scale_factor=0.5)
    model.neck = nn.Flatten()
    model.head.fc = nn.Linear(32 * 8 * 12, 3)
    model.eval()
    with pytest.raises(InputError, match="the model itself does not take images of"):
        export_model(model, tmp_path / "out", "whole", "torchscript")
    assert not (tmp_path / "out").exists()


def test_reads_the_cards_of_its_own_files_alone(tmp_path):
    torch.jit.trace(nn.Identity(), torch.rand(1)).save(tmp_path / "a.torchscript")
    with pytest.raises(InputError, match=r"a.torchscript' has no model card"):
        read_card(tmp_path / "a.torchscript")
    with pytest.raises(InputError, match=r"must end in .onnx, .*, .xml, got"):
        read_card(tmp_path / "a.pth")


def test_the_folder_may_not_be_a_file(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(InputError, match=r"the folder '.*out' is a file"):
        export_model(build_classifier(), tmp_path / "out", "resizer", "torchscript")
