"""Which backbones of MMPretrain work behind the learned resizer."""

import csv
import gc
from collections.abc import Sequence
from datetime import date
from io import BytesIO
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mmpretrain
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.logging import MMLogger
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from mmpretrain.models import backbones
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmresizer.config.building import build_model
from mmresizer.utils import InputError
from mmresizer.utils.errors import describe_error, one_line
from mmresizer.utils.tables import make_table

from .flops import count_parameters

CHECKS = ("forward", "backward", "state_dict", "trace", "onnx")
VERSIONS = ("torch", "mmpretrain", "onnxruntime", "date")
COLUMNS = (
    *("backbone", "variant", "parameters_m", "in", "out"),
    *CHECKS,
    "note",
    *VERSIONS,
)

# The smallest model that MMPretrain publishes with each backbone: its config or, where
# there is none for a classifier, the model.
_SMALLEST: dict[str, str | dict[str, Any]] = {
    "LeNet5": "lenet/lenet5_mnist",
    "AlexNet": dict(
        backbone=dict(type="AlexNet", num_classes=1000),
        head=dict(type="ClsHead", loss=dict(type="CrossEntropyLoss")),
    ),
    "VGG": "vgg/vgg11_8xb32_in1k",
    "RegNet": "regnet/regnetx-400mf_8xb128_in1k",
    "ResNet": "resnet/resnet18_8xb32_in1k",
    "ResNeXt": "resnext/resnext50-32x4d_8xb32_in1k",
    "ResNetV1d": "resnet/resnetv1d50_8xb32_in1k",
    "ResNeSt": "resnest/resnest50_32xb64_in1k",
    "ResNet_CIFAR": "resnet/resnet18_8xb16_cifar10",
    "SEResNet": "seresnet/seresnet50_8xb32_in1k",
    "SEResNeXt": "seresnet/seresnext50-32x4d_8xb32_in1k",
    "ShuffleNetV1": "shufflenet_v1/shufflenet-v1-1x_16xb64_in1k",
    "ShuffleNetV2": "shufflenet_v2/shufflenet-v2-1x_16xb64_in1k",
    "MobileNetV2": "mobilenet_v2/mobilenet-v2_8xb32_in1k",
    "MobileNetV3": "mobilenet_v3/mobilenet-v3-small-050_8xb128_in1k",
    "VisionTransformer": "deit/deit-tiny_4xb256_in1k",
    "SwinTransformer": "swin_transformer/swin-tiny_16xb64_in1k",
    "TNT": "tnt/tnt-s-p16_16xb64_in1k",
    "TIMMBackbone": dict(
        backbone=dict(type="TIMMBackbone", model_name="resnet18"),
        neck=dict(type="GlobalAveragePooling"),
        head=dict(type="LinearClsHead", num_classes=1000, in_channels=512),
    ),
    "T2T_ViT": "t2t_vit/t2t-vit-t-14_8xb64_in1k",
    "Res2Net": "res2net/res2net50-w14-s8_8xb32_in1k",
    "RepVGG": "repvgg/repvgg-A0_8xb32_in1k",
    "Conformer": "conformer/conformer-tiny-p16_8xb128_in1k",
    "MlpMixer": "mlp_mixer/mlp-mixer-base-p16_64xb64_in1k",
    "DistilledVisionTransformer": "deit/deit-tiny-distilled_4xb256_in1k",
    "PCPVT": "twins/twins-pcpvt-small_8xb128_in1k",
    "SVT": "twins/twins-svt-small_8xb128_in1k",
    "EfficientNet": "efficientnet/efficientnet-b0_8xb32_in1k",
    "EfficientNetV2": "efficientnet_v2/efficientnetv2-b0_8xb32_in1k",
    "ConvNeXt": "convnext_v2/convnext-v2-atto_32xb32_in1k",
    "HRNet": "hrnet/hrnet-w18_4xb32_in1k",
    "ResNetV1c": "resnet/resnetv1c50_8xb32_in1k",
    "ConvMixer": "convmixer/convmixer-768-32_10xb64_in1k",
    "EdgeNeXt": "edgenext/edgenext-xxsmall_8xb256_in1k",
    "CSPDarkNet": "cspnet/cspdarknet50_8xb32_in1k",
    "CSPResNet": "cspnet/cspresnet50_8xb32_in1k",
    "CSPResNeXt": "cspnet/cspresnext50_8xb32_in1k",
    "RepLKNet": "_base_/models/replknet-31B_in1k",
    "RepMLPNet": "repmlp/repmlp-base_8xb64_in1k",
    "PoolFormer": "poolformer/poolformer-s12_32xb128_in1k",
    "RIFormer": "riformer/riformer-s12_8xb128_in1k",
    "DenseNet": "densenet/densenet121_4xb256_in1k",
    "VAN": "van/van-tiny_8xb128_in1k",
    "InceptionV3": "inception_v3/inception-v3_8xb32_in1k",
    "MobileOne": "mobileone/mobileone-s0_8xb32_in1k",
    "EfficientFormer": "efficientformer/efficientformer-l1_8xb128_in1k",
    "SwinTransformerV2": "swin_transformer_v2/swinv2-tiny-w8_16xb64_in1k-256px",
    "MViT": "mvit/mvitv2-tiny_8xb256_in1k",
    "DeiT3": "deit3/deit3-small-p16_64xb64_in1k",
    "HorNet": "hornet/hornet-tiny_8xb128_in1k",
    "MobileViT": "mobilevit/mobilevit-xxsmall_8xb128_in1k",
    "DaViT": "davit/davit-tiny_4xb256_in1k",
    "BEiTViT": "beit/benchmarks/beit-base-p16_8xb64_in1k",
    "RevVisionTransformer": "revvit/revvit-small_8xb256_in1k",
    "MixMIMTransformer": "mixmim/benchmarks/mixmim-base_8xb64_in1k",
    "TinyViT": "tinyvit/tinyvit-5m_8xb256_in1k",
    "LeViT": "levit/levit-128s_8xb256_in1k",
    "Vig": "vig/vig-tiny_8xb128_in1k",
    "PyramidVig": "vig/pvig-tiny_8xb128_in1k",
    "XCiT": "xcit/xcit-nano-12-p16_8xb128_in1k",
    # MMPretrain publishes it at 1024 px, for segmentation.
    "ViTSAM": dict(
        backbone=dict(type="ViTSAM", arch="base", img_size=224),
        neck=dict(type="GlobalAveragePooling"),
        head=dict(type="LinearClsHead", num_classes=1000, in_channels=256),
    ),
    "ViTEVA02": "eva02/eva02-tiny-p14_in1k",
    "HiViT": "hivit/hivit-tiny-p16_16xb64_in1k",
}

# By default these expect a teacher, with which MMPretrain cannot train.
_DISTILLED_HEADS = ("EfficientFormerClsHead", "LeViTClsHead")

_SPARSE = "takes masked images only, in pre-training with SparK"
_UNTRAINABLE = {"SparseResNet": _SPARSE, "SparseConvNeXt": _SPARSE}

# Part of the difference between two images' logits that may be lost to rounding.
_MAX_ERROR = 0.01


class _CheckError(Exception):
    """A check failed; the message says how."""


def list_backbones() -> list[str]:
    """Returns the names of the backbones that MMPretrain registers."""
    return [name for name in backbones.__all__ if name in MODELS.module_dict]


def check_backbones(
    names: Sequence[str] = (), out: str | None = None
) -> list[dict[str, str]]:
    """Checks backbones behind a learned resizer, one after the other.

    Args:
        names (Sequence[str]): Of :func:`list_backbones`; all of them by default.
        out (str, optional): CSV file for the rows. The same table is written beside it
            in Markdown.

    Returns:
        list[dict[str, str]]: The rows, as :func:`check_backbone` returns them.

    Raises:
        InputError: If MMPretrain has no such backbone, or ``out`` is no CSV file.
    """
    registered = list_backbones()
    for name in names:
        if name not in registered:
            raise InputError(
                f"MMPretrain has no backbone {name!r}; it has {', '.join(registered)}"
            )
    if out is not None and Path(out).suffix != ".csv":
        raise InputError(f"--out must be a .csv file, but got {out!r}")
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel("ERROR")
    rows = []
    try:
        for name in names or registered:
            rows.append(check_backbone(name))
            print(f"{name}: {_verdict(rows[-1])}", flush=True)
            gc.collect()  # a model is part of reference cycles
    finally:
        logger.setLevel(level)
    if out is not None:
        _write(rows, Path(out))
    return rows


def check_backbone(name: str) -> dict[str, str]:
    """Checks a backbone behind a learned resizer.

    Args:
        name (str): Of :func:`list_backbones`.

    Returns:
        dict[str, str]: A value for each of :data:`COLUMNS`. That of a check is "yes",
        the reason why not, or "-" if it was not reached.
    """
    row = dict.fromkeys(COLUMNS, "-")
    row.update(
        backbone=name,
        torch=torch.__version__,
        mmpretrain=mmpretrain.__version__,
        date=date.today().isoformat(),
    )
    trial = _Trial(name)
    for check in CHECKS:
        try:
            getattr(trial, check)()
            row[check] = "yes"
        except Exception as e:  # a backbone is a program: it can fail in any way
            row[check] = _reason(e)
            if check == "forward":
                break
    row.update(trial.facts, note="; ".join(trial.notes))
    return row


class _Trial:
    """A classifier with a backbone behind a learned resizer, to be checked in order."""

    def __init__(self, name: str):
        self.name = name
        self.facts: dict[str, str] = {}
        self.notes: list[str] = []

    def forward(self) -> None:
        if self.name in _UNTRAINABLE:
            raise _CheckError(_UNTRAINABLE[self.name])
        if self.name not in _SMALLEST:
            raise _CheckError("no arguments known")
        self._read(_SMALLEST[self.name])
        self.model = self._build(seed=0)
        backbone_size = count_parameters(self.model.backbone)
        self.facts["parameters_m"] = f"{backbone_size / 1e6:.2f}"
        self.model.train()
        images = (255 * self._images()).byte()
        data = dict(
            inputs=list(images),
            data_samples=[DataSample().set_gt_label(i) for i in range(len(images))],
        )
        data = self.model.data_preprocessor(data, training=True)
        self.loss, _ = self.model.parse_losses(self.model(**data, mode="loss"))
        if not self.loss.isfinite():
            raise _CheckError(f"the loss is {self.loss.item()}")

    def _read(self, source: str | dict[str, Any]) -> None:
        """Reads the config of a plain classifier, and puts a resizer into it."""
        if isinstance(source, str):
            self.cfg = get_config(f"mmpretrain::{source}.py")
            variant = Path(source).name
        else:
            self.cfg = Config(dict(model=source))
            arguments = source["backbone"].items()
            variant = " ".join(f"{k}={v}" for k, v in arguments if k != "type")
        self.cfg.setdefault("default_scope", "mmpretrain")
        size = _find_size(self.cfg)
        channels = len(self.cfg.get("data_preprocessor", {}).get("mean", "RGB"))
        self.shape = channels, 2 * size, 3 * size // 2
        self.facts["variant"] = variant
        self.facts["in"] = "x".join(map(str, self.shape[1:]))
        self.facts["out"] = f"{size}x{size}"
        model = self.cfg.model
        model.type = "mmresizer.ResizerClassifier"
        model.resizer = dict(
            type="mmresizer.LearnedResizer", output_size=size, in_channels=channels
        )
        if model.head.type in _DISTILLED_HEADS:
            model.head.distillation = False

    def _build(self, seed: int) -> Any:
        torch.manual_seed(seed)
        model: Any = build_model(self.cfg)
        model.init_weights()
        with torch.no_grad():
            for parameter in model.parameters():
                # What starts at zero (heads, residual branches) would hide the rest.
                parameter.add_(torch.randn_like(parameter), alpha=0.02)
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.momentum = 1.0  # one step, and the statistics fit the weights
        return model

    def _images(self) -> Tensor:
        """Two images, with differences that a model does not average away."""
        channels, *size = self.shape
        coarse = nn.functional.interpolate(torch.rand(2, channels, 8, 6), size)
        return (coarse + torch.rand_like(coarse)) / 2

    def backward(self) -> None:
        self.loss.backward()
        for name in ("resizer", "backbone"):
            parameters = getattr(self.model, name).parameters()
            gradients = [p.grad for p in parameters if p.requires_grad]
            found = [g for g in gradients if g is not None]
            # Stochastic depth leaves parts of a backbone out.
            reached = all if name == "resizer" else any
            if not found or not reached(g is not None and g.any() for g in gradients):
                raise _CheckError(f"the {name} gets no gradient")
            if not all(g.isfinite().all() for g in found):
                raise _CheckError(f"the gradient of the {name} is not finite")
        unused = len(gradients) - len(found)
        if unused:
            self.notes.append(
                f"{unused} of {len(gradients)} parameter tensors get no gradient"
            )

    @torch.no_grad()
    def state_dict(self) -> None:
        self.model.eval()
        other = self._build(seed=1)
        buffer = BytesIO()
        torch.save(self.model.state_dict(), buffer)
        buffer.seek(0)
        missing, unexpected = other.load_state_dict(
            torch.load(buffer, weights_only=True), strict=False
        )
        # Some backbones compute tables anew instead of loading them.
        buffers = dict(other.named_buffers())
        lost = [key for key in missing if key not in buffers] + unexpected
        if lost:
            raise _CheckError(f"{len(lost)} keys do not fit, such as {lost[0]}")
        other.eval()  # not before: some backbones fill a cache from their weights here
        images = self._images()
        if not torch.equal(_logits(other(images)), _logits(self.model(images))):
            raise _CheckError("the restored model has other logits")

    @torch.no_grad()
    def trace(self) -> None:
        error = self._trace()
        if error > _MAX_ERROR:
            # Rounding may be the reason: it changes graphs of nearest neighbours.
            self.model.double()
            error = self._trace()
            self.model.float()
            self.notes.append("trace compared in float64")
        self._judge(error)

    def _trace(self) -> float:
        dtype = next(self.model.parameters()).dtype
        first, second = self._images().to(dtype), self._images().to(dtype)
        traced = torch.jit.trace(self.model, first, check_trace=False)
        return self._error(_logits(traced(second)), first, second)

    @torch.no_grad()
    def onnx(self) -> None:
        import onnx  # noqa: F401
        import onnxruntime

        first, second = self._images(), self._images()
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            torch.onnx.export(
                self.model, (first,), path, input_names=["x"], dynamo=False
            )
            self.facts["onnxruntime"] = onnxruntime.__version__
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        outputs = session.run(None, {"x": second.numpy()})
        logits = _logits([torch.as_tensor(output) for output in outputs])
        self._judge(self._error(logits, first, second))

    def _error(self, logits: Tensor, first: Tensor, second: Tensor) -> float:
        """Returns how far the logits of the second batch are off.

        As a part of the difference from those of the first: 1 for a constant output.
        """
        expected = _logits(self.model(second))
        scale = (expected - _logits(self.model(first))).abs().max()
        return ((logits - expected).abs().max() / scale).item()

    def _judge(self, error: float) -> None:
        if error <= _MAX_ERROR:
            return
        first, second = self._images(), self._images()
        noisy = second * (1 + 1e-6 * torch.randn_like(second))
        rounding = self._error(_logits(self.model(noisy)), first, second)
        raise _CheckError(
            f"runs, but cannot be compared: noise of 1e-6 in the image moves the "
            f"logits by {rounding:.0%} of their range"
            if rounding > _MAX_ERROR
            else f"logits are off by {error:.0%} of their range"
        )


def _find_size(cfg: Config) -> int:
    """Returns the size of the images that a config feeds to its model."""
    loaders = (cfg.get(f"{split}_dataloader") or {} for split in ("train", "test"))
    steps = chain.from_iterable(
        loader.get("dataset", {}).get("pipeline", []) for loader in loaders
    )
    sizes = [step.get("crop_size", step.get("scale")) for step in steps]
    return next((size for size in reversed(sizes) if isinstance(size, int)), 224)


def _logits(output: Tensor | Sequence[Tensor]) -> Tensor:
    """Returns the output of a model, which has two heads here and there, as one."""
    return output if isinstance(output, Tensor) else torch.cat(list(output), dim=1)


def _reason(e: Exception) -> str:
    text = one_line(e) if isinstance(e, _CheckError) else describe_error(e)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _verdict(row: dict[str, str]) -> str:
    failed = [f"{c}: {row[c]}" for c in CHECKS if row[c] not in ("yes", "-")]
    return "; ".join(failed) or "passes"


def _write(rows: list[dict[str, str]], path: Path) -> None:
    """Writes the table, for programs and for people."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as f:
        writer = csv.DictWriter(f, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    path.with_suffix(".md").write_text(markdown_table(path))


def markdown_table(path: Path) -> str:
    """Returns the Markdown of a CSV file that :func:`check_backbones` has written."""
    with path.open(newline="") as f:
        rows = list(csv.DictReader(f))
    versions = {key: max(row[key] for row in rows) for key in VERSIONS}
    passed = ", ".join(
        f"{check} {sum(row[check] == 'yes' for row in rows)}" for check in CHECKS
    )
    columns = [column for column in COLUMNS if column not in VERSIONS]
    out = "/".join(path.resolve().parts[-2:])
    lines = [
        "# Backbones behind the learned resizer",
        "",
        f"Made by `python tools/analysis_tools/check_backbones.py --out {out}` "
        f"with torch {versions['torch']}, MMPretrain {versions['mmpretrain']} and ONNX "
        f"Runtime {versions['onnxruntime']}, {versions['date']}. The column `onnx` "
        "needs `pip install onnx onnxruntime`.",
        "",
        "The backbones that MMPretrain registers, each in its smallest published model "
        "(MMPretrain's config of that name, with its neck, head and loss; arguments of "
        "the backbone where it has no config of a classifier), from random weights, "
        "behind `LearnedResizer`. Sizes are height x width in pixels; parameters_m is "
        "millions of trainable parameters in the backbone.",
        "",
        "- forward: the loss of a training step is finite.",
        "- backward: finite gradients reach every parameter of the resizer, and the "
        "backbone.",
        "- state_dict: a second model, initialized differently, has equal logits once "
        "it has loaded the saved weights of the first.",
        "- trace, onnx: `torch.jit.trace`, and ONNX Runtime after `torch.onnx.export`, "
        "give the logits of the model for other images than those of the export, to "
        f"{_MAX_ERROR:.0%} of what tells the images apart.",
        "",
        f"{len(rows)} backbones; passed: {passed}.",
        "",
        make_table(
            columns, ([row[c].replace("|", r"\|") for c in columns] for row in rows)
        ),
    ]
    return "\n".join(lines) + "\n"
