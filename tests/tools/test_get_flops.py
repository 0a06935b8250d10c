import re

import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from torch import nn
from torchvision.models import (
    ResNet50_Weights,
    Swin_T_Weights,
    ViT_B_16_Weights,
)

from mmresizer.analysis.costs import (
    build_model_to_count,
    input_size,
    macs_without_resizer,
    model_costs,
    pipeline_size,
)
from mmresizer.analysis.flops import Cost
from mmresizer.registry import MODELS
from mmresizer.utils import InputError

RESNET50 = "resnet/resnet50_8xb32_in1k"
SWIN = "swin_transformer/swin-tiny_16xb64_in1k"
VIT = "vision_transformer/vit-base-p16_32xb128-mae_in1k"


def resizer_cost(size, output, n=16, r=1):
    """Of the learned resizer, by hand from figure 3 of the paper.

    At integer factors bilinear interpolation reads one position of a block if the
    factor is odd, and else two on each side.
    """
    pixels, out_pixels = size[0] * size[1], output[0] * output[1]
    stem, small = 49 * 3 * n + n * n, (2 * r + 1) * 9 * n * n
    biases_and_norms = n + n + 2 * n + (2 * r + 1) * 2 * n + 3
    read = pixels
    if all(a % b == 0 for a, b in zip(size, output, strict=True)):
        read = out_pixels
        for a, b in zip(size, output, strict=True):
            read *= 1 if a // b % 2 else 2
    skipped = pixels - read if 2 * read <= pixels else 0
    return Cost(
        stem + small + 49 * n * 3 + biases_and_norms,
        stem * (pixels - skipped) + (small + 49 * n * 3) * out_pixels,
        2 * n * pixels + ((2 * r + 1) * n + 3) * out_pixels,
        stem * skipped,
    )


def config(base, **resizer):
    """A config of MMPretrain with a resizer, bilinear to 224 px by default."""
    cfg = get_config(f"mmpretrain::{base}.py")
    cfg.model.type = "mmresizer.ResizerClassifier"
    resizer = resizer or dict(type="mmresizer.InterpolationResizer", output_size=224)
    cfg.model.resizer = {"type": "mmresizer.LearnedResizer", **resizer}
    return cfg


@pytest.mark.parametrize(
    ("base", "channels", "published"),
    [
        (RESNET50, 2048, ResNet50_Weights.IMAGENET1K_V1.meta),
        (SWIN, 768, Swin_T_Weights.IMAGENET1K_V1.meta),
        (VIT, 768, ViT_B_16_Weights.IMAGENET1K_V1.meta),
    ],
)
def test_published_costs(base, channels, published):
    """torchvision publishes parameters and GMAC of its own implementations."""
    costs = model_costs(config(base), (300, 200))
    assert costs.total.parameters == published["num_params"]
    assert costs.total.macs / 1e9 == pytest.approx(published["_ops"], abs=6e-4)
    assert costs.resizer == Cost(0, 0, 0)
    assert costs.rest == Cost((channels + 1) * 1000, channels * 1000, 1000)
    assert costs.total - costs.backbone == costs.rest


def test_activations_of_resnet50():
    """By hand: the outputs of all convolutions, and the scores. timm: 11.1 million."""
    activations = 64 * 112**2 + 1000
    for stage, blocks in enumerate([3, 4, 6, 3]):
        width, size = 64 * 2**stage, 56 // 2**stage
        activations += blocks * (1 + 1 + 4) * width * size**2 + 4 * width * size**2
        if stage > 0:  # the second convolution has the stride
            activations += width * ((2 * size) ** 2 - size**2)
    assert round(activations / 1e6, 1) == 11.1
    assert model_costs(config(RESNET50), (32, 32)).total.activations == activations


def test_activations_of_swin():
    """timm's model card of swin_small_patch4_window7_224."""
    costs = model_costs(config("swin_transformer/swin-small_16xb64_in1k"), (9, 9))
    assert round(costs.total.activations / 1e6, 1) == 27.5


@pytest.mark.parametrize(
    ("base", "backbone", "resizer", "size"),
    [
        ("resnet/resnet18_8xb32_in1k", {}, dict(output_size=(64, 96)), (100, 120)),
        (SWIN, dict(pad_small_map=True), dict(output_size=64), (80, 70)),
        (VIT, dict(arch="deit-tiny"), dict(scale_factor=0.5), (64, 90)),
    ],
)
def test_counts_without_memory(base, backbone, resizer, size):
    """The same numbers as of the model with its weights."""
    cfg = config(base, **resizer)
    cfg.model.backbone.update(backbone)
    if backbone.get("arch"):
        cfg.model.head.in_channels = 192
    model = build_model_to_count(cfg)
    assert all(tensor.is_meta for tensor in model.state_dict().values())
    costs = model_costs(model, size)
    assert costs == model_costs(MODELS.build(cfg.model), size)
    output = model.resizer.get_output_size(size)
    assert costs.resizer == resizer_cost(size, output)
    # Fed with what it sees anyway, it costs the same.
    plain = macs_without_resizer(model, output)
    assert plain == costs.backbone.macs + costs.rest.macs
    assert costs == model_costs(model, size)


def test_stock_classes():
    """A resizer inside the backbone is not counted as backbone."""
    cfg = config(RESNET50)
    cfg.model.type = "ImageClassifier"
    resizer = cfg.model.pop("resizer")
    resizer.type = "mmresizer.LearnedResizer"
    cfg.model.backbone = [resizer, cfg.model.backbone]
    costs = model_costs(cfg, (64, 48))
    assert costs.resizer == resizer_cost((64, 48), (224, 224))
    assert costs.backbone.parameters == 25_557_032 - costs.rest.parameters
    assert costs.rest.parameters == 2048 * 1000 + 1000
    assert costs.total - costs.resizer - costs.backbone == costs.rest


def test_timm(monkeypatch):
    """A wrapped model; what it would download is not needed."""
    timm = pytest.importorskip("timm")
    monkeypatch.setattr("timm.models._builder.load_pretrained", pytest.fail)
    model = dict(
        type="mmresizer.ResizerTimmClassifier", model_name="vit_tiny_patch16_224"
    )
    model |= dict(
        pretrained=True, resizer=config(RESNET50, output_size=224).model.resizer
    )
    cfg = Config(dict(model=model, default_scope="mmpretrain"))
    model = build_model_to_count(cfg)
    assert all(parameter.is_meta for parameter in model.parameters())
    costs = model_costs(model, (300, 240))
    assert costs.resizer == resizer_cost((300, 240), (224, 224))
    assert costs.backbone is None
    assert costs.total - costs.resizer == costs.rest
    plain = timm.create_model("vit_tiny_patch16_224")
    assert costs.rest.parameters == sum(p.numel() for p in plain.parameters())
    # Sizes of another sort the model refuses.
    assert macs_without_resizer(model, (224, 224)) == costs.rest.macs
    with pytest.raises(InputError, match="does not take an image of 300x240 pixels"):
        macs_without_resizer(model, (300, 240))


def test_hugging_face(tmp_path):
    transformers = pytest.importorskip("transformers")
    kwargs = dict(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    transformers.ResNetConfig(**kwargs).save_pretrained(tmp_path)
    model = dict(
        type="mmresizer.ResizerHuggingFaceClassifier",
        model_name=str(tmp_path),
        resizer=dict(type="mmresizer.LearnedResizer", output_size=32),
    )
    cfg = Config(dict(model=model, default_scope="mmpretrain"))
    model = build_model_to_count(cfg)
    assert all(parameter.is_meta for parameter in model.parameters())
    costs = model_costs(model, (80, 60))
    assert costs == model_costs(MODELS.build(cfg.model), (80, 60))
    assert costs.resizer == resizer_cost((80, 60), (32, 32))
    assert costs.rest.macs > 0


@pytest.mark.parametrize("fault", ["forward", "__init__"])
def test_needs_values(fault, monkeypatch):
    """A backbone that looks at values, as it is built or as it runs."""

    class Backbone(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, padding=1)
            if fault == "__init__":
                self.conv.weight.norm().item()

        def forward(self, x):
            if fault == "forward":
                x = x / max(1.0, x.abs().max().item())
            return (self.conv(x),)

    monkeypatch.setitem(MODELS.module_dict, "LooksAtValues", Backbone)
    cfg = config(RESNET50, output_size=10)
    cfg.model.backbone = dict(type="mmresizer.LooksAtValues")
    cfg.model.head.in_channels = 8
    model = build_model_to_count(cfg)
    assert model.backbone.conv.weight.device == torch.device("cpu")
    costs = model_costs(model, (30, 20))
    assert costs.backbone == Cost(27 * 8 + 8, 27 * 8 * 100, 8 * 100)
    assert costs.resizer == resizer_cost((30, 20), (10, 10))


@pytest.mark.parametrize(
    ("transforms", "size"),
    [
        ([dict(type="ResizeEdge", scale=256), dict(type="CenterCrop", crop_size=224)],
         (224, 224)),
        ([dict(type="CenterCrop", crop_size=(320, 240))], (240, 320)),
        ([dict(type="mmpretrain.Resize", scale=(320, 240))], (240, 320)),
        ([dict(type="RandomCrop", crop_size=(320, 240))], (320, 240)),
        ([dict(type="Resize", scale=(320, 240), keep_ratio=True)], None),
        ([dict(type="CenterCrop", crop_size=224), dict(type="ResizeEdge", scale=256)],
         None),
        ([dict(type="Resize", scale=256), dict(type="torchvision/CenterCrop", size=9)],
         None),
        ([dict(type="Resize", scale=None, scale_factor=0.5)], None),
        ([], (7, 8)),
    ],
)  # fmt: skip
def test_pipeline_size(transforms, size):
    pipeline = [dict(type="LoadImageFromFile"), *transforms, dict(type="PackInputs")]
    assert pipeline_size(pipeline, (7, 8)) == size


@pytest.mark.parametrize(
    ("dataset", "size"),
    [
        (dict(type="mmresizer.FineTextures", num_samples=8), (96, 96)),
        (dict(type="mmresizer.FineTextures", num_samples=8, image_size=48), (48, 48)),
        (dict(type="CustomDataset"), None),
    ],
)
def test_input_size(dataset, size):
    """It does not need the data; wrappers of a dataset have its pipeline."""
    dataset["pipeline"] = [dict(type="PackInputs")]
    wrapped = dict(type="RepeatDataset", times=2, dataset=dataset)
    for d in (dataset, wrapped):
        assert input_size(Config(dict(test_dataloader=dict(dataset=d)))) == size
    assert input_size(Config(dict(test_dataloader=None))) is None


@pytest.fixture
def get_flops(run_tool, tmp_path):
    """Runs the tool on a config; returns (status, output)."""

    def get_flops(cfg, *arguments):
        (tmp_path / "config.py").write_text(cfg if isinstance(cfg, str) else "")
        if not isinstance(cfg, str):
            cfg.dump(tmp_path / "config.py")
        return run_tool(
            "analysis_tools/get_flops.py", tmp_path / "config.py", *arguments
        )

    return get_flops


def tables(output):
    """The cells of each table in the output, in dicts by the first cell of the row."""
    blocks = re.findall(r"(?:^\|.*\n)+", output, re.MULTILINE)
    rows = [[line.strip("| ").split(" | ") for line in b.splitlines()] for b in blocks]
    return [{row[0]: row[1:] for row in block} for block in rows]


def giga(count):
    return f"{count / 1e9:.4f}"


def test_prints_both_tables(get_flops):
    """At the size that the config's test pipeline delivers."""
    cfg = config(RESNET50, output_size=224)
    cfg.test_dataloader.dataset.pipeline[2].crop_size = 448
    status, output = get_flops(cfg)
    assert status == 0, output
    parts, inputs = tables(output)
    plain = 4_089_184_256
    resizer = resizer_cost((448, 448), (224, 224))
    assert list(parts) == [
        "input 448x448", "---", "resizer", "backbone", "neck and head", "total",
    ]  # fmt: skip
    assert parts["resizer"] == [
        f"{resizer.parameters:,}",
        giga(resizer.macs),
        giga(resizer.paper_macs),
        f"{resizer.activations / 1e6:.4f}",
    ]
    assert parts["total"][:2] == ["25,569,067", giga(resizer.macs + plain)]
    sizes = [224, 336, 448, 672, 896]
    assert list(inputs)[2:] == [f"{size}x{size}" for size in sizes]
    for size in sizes:
        macs = resizer_cost((size, size), (224, 224)).macs
        row = inputs[f"{size}x{size}"]
        percent = f"{100 * macs / plain:.1f}"
        assert row[:4] == ["224x224", giga(macs), giga(macs + plain), percent]
    assert inputs["224x224"][4] == giga(plain)
    # At four times the size all but the last layer costs 16 times as much.
    fc = 2048 * 1000
    assert inputs["896x896"][4] == giga(16 * (plain - fc) + fc)


def test_prints_named_inputs(get_flops):
    """The backbone follows the input; options of the config apply."""
    cfg = config(SWIN, scale_factor=0.5)
    status, output = get_flops(
        cfg, "--shape", "448", "640", "--inputs", "448", "500x460",
        "--cfg-options", "model.resizer.mid_channels=8",
    )  # fmt: skip
    assert status == 0, output
    parts, inputs = tables(output)
    cost = resizer_cost((448, 640), (224, 320), n=8)
    assert "input 448x640" in parts
    assert parts["resizer"][0] == f"{cost.parameters:,}"
    assert parts["resizer"][1] == giga(cost.macs)
    assert list(inputs)[2:] == ["448x448", "500x460"]
    assert inputs["500x460"][0] == "250x230"
    assert inputs["500x460"][1] == giga(resizer_cost((500, 460), (250, 230), 8).macs)


def test_prints_a_dash_for_what_is_refused(get_flops):
    """Swin's windows, of 7 x 7 patches, do not fit into small maps."""
    status, output = get_flops(config(SWIN, scale_factor=0.5), "--shape", "448")
    assert status == 0, output
    inputs = tables(output)[1]
    assert inputs["224x224"][:4] == ["-"] * 4
    assert inputs["224x224"][4] == "4.4906"
    assert "-" not in inputs["448x448"]


@pytest.mark.parametrize(
    ("cfg", "arguments", "sentence"),
    [
        (
            "_base_ = 'mmpretrain::mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py'",
            [],
            r"config.py must be an image classifier, .*, but it is of type 'MAE'",
        ),
        (
            config(SWIN, scale_factor=0.5),
            ["--shape", "448", "--inputs", "448", "1"],
            r"config.py: .* does not take an image of 1x1 pixels .*too small",
        ),
        ("", ["--shape", "1", "2", "3"], "one or two positive ints, got .1, 2, 3."),
    ],
    ids=["no classifier", "no such input", "shape"],
)
def test_refuses(get_flops, cfg, arguments, sentence):
    status, output = get_flops(cfg, *arguments)
    assert status == 1
    assert "Traceback" not in output
    assert re.search(f"^error: .*{sentence}", output.splitlines()[-1]), output


def test_refuses_inputs(get_flops):
    status, output = get_flops("", "--inputs", "224", "240x320", "0x3")
    assert status == 2
    sentence = "argument --inputs: must be a size such as 224 or, height x width, 240x3"
    assert sentence in output.splitlines()[-1]
    assert "got '0x3'" in output.splitlines()[-1]


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (None, "has no `model`"),
        ("resnet", "has no `model`"),
        (dict(type="ImageToImageRetriever"), "but it is of type 'ImageToImageRetr"),
        (dict(type="BlipCaption"), "but it is of type 'BlipCaption'"),
        (dict(type="NoSuchModel"), "NoSuchModel is not in the .*registry"),
    ],
)
def test_refuses_other_models(model, sentence):
    with pytest.raises(InputError, match=sentence):
        build_model_to_count(Config(dict(model=model, default_scope="mmpretrain")))


@pytest.mark.parametrize(
    ("cfg", "sentence"),
    [
        (config(SWIN, output_size=100), "224x224 pixels .*Error: .* window size"),
        (get_config(f"mmpretrain::{RESNET50}.py"), "must have one resizer, but .* 0"),
    ],
)
def test_refuses_models(cfg, sentence):
    with pytest.raises(InputError, match=sentence):
        model_costs(cfg, (224, 224))
