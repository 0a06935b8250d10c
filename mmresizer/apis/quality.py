"""How people would score images, as a trained model predicts it."""

import csv
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile
from mmengine.config import Config
from mmengine.dataset import Compose
from mmpretrain.models import ImageClassifier
from mmpretrain.registry import TRANSFORMS
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont
from torch import Tensor, nn

from mmresizer.datasets.transforms import LoadImageFromFile
from mmresizer.hub.loading import load_named_model
from mmresizer.models import IQAHead
from mmresizer.registry import enter_scope
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_int, describe_error
from mmresizer.utils.files import printable, write_atomically
from mmresizer.utils.machine import check_device

from .batches import LoadedImages, run_in_batches
from .images import Image, list_images

# The contact sheet, in pixels.
_THUMBNAIL = 180
_GAP = 12
_LINE = 18
_FONT_SIZE = 13


class Quality(NamedTuple):
    """The predicted scores of an image.

    Attributes:
        image (str): Its file; for an array or a tensor its number among the images.
        mean (float): Mean of the scores, which start at 1.
        std (float | None): Their standard deviation; None for regression.
        distribution (np.ndarray | None): Share of each score, from 1 on, shape
            (num_scores,), float32; None for regression.
    """

    image: str
    mean: float
    std: float | None
    distribution: np.ndarray | None


class QualityPredictor:
    """Predicts how people would score images.

    Args:
        model (str | os.PathLike | Config | nn.Module): Name of a model of the zoo, a
            config, or a model. A model has its config as ``_config``, as
            :func:`mmpretrain.get_model` returns it; it is moved to the device and set
            to evaluation. The head must be an :class:`mmresizer.IQAHead`.
        checkpoint (str | os.PathLike, optional): Weights. A config needs them; for a
            model of the zoo they replace its own.
        device (str, optional): Defaults to "cuda" where there is one, else "cpu".

    Attributes:
        load (LoadImageFromFile): Loads files, of the colours and at the scale that the
            test pipeline asks for.

    Raises:
        InputError: If the model, its weights, its config, its test pipeline or the
            device is missing, or the head is another one.
    """

    def __init__(
        self,
        model: str | os.PathLike | Config | nn.Module,
        checkpoint: str | os.PathLike | None = None,
        device: str | None = None,
    ):
        self.device = check_device(device)
        model = load_named_model(model, checkpoint)
        head = getattr(model, "head", None)
        if not isinstance(head, IQAHead):
            found = "none" if head is None else type(head).__name__
            raise InputError(
                f"the head of {type(model).__name__} must be an IQAHead, but is {found}"
            )
        cfg = getattr(model, "_config", None)
        if cfg is None:
            raise InputError(
                f"{type(model).__name__} must have its config as `_config`, as models "
                "of mmpretrain.get_model do"
            )
        transforms = _build_pipeline(cfg)
        # Files and arrays go through the same transforms, so loading is apart.
        loaders = [t for t in transforms if isinstance(t, MMCVLoadImageFromFile)]
        asked = vars(loaders[0]) if loaders else {}
        names = ("color_type", "min_size")
        self.load = LoadImageFromFile(**{n: asked[n] for n in names if n in asked})
        self._pipeline = Compose([t for t in transforms if t not in loaders])
        self._scores = head.scores.double().cpu().numpy()
        self.model: ImageClassifier = model.to(self.device).eval()

    def prepare(self, image: Tensor) -> Tensor:
        """Applies the test pipeline.

        Args:
            image (Tensor): Shape (C, H, W), BGR, 0 to 255; rounded to whole numbers.

        Returns:
            Tensor: Shape (C, h, w), before normalization.

        Raises:
            InputError: If the pipeline does not take the image.
        """
        pixels = image if image.dtype == torch.uint8 else image.round().clip(0, 255)
        array = np.ascontiguousarray(pixels.byte().permute(1, 2, 0).cpu().numpy())
        if array.shape[2] == 1:
            array = array[:, :, 0]  # as loaders give grey images
        size = array.shape[:2]
        try:
            return self._pipeline({"img": array, "img_shape": size, "ori_shape": size})[
                "inputs"
            ]
        except Exception as e:  # transforms may raise anything
            raise InputError(
                f"the test pipeline does not take an image of {size[0]}x{size[1]} "
                f"pixels (height x width) ({describe_error(e)})"
            ) from e

    @torch.no_grad()
    def predict(self, inputs: Tensor, names: Sequence[str]) -> list[Quality]:
        """Predicts the scores of a batch.

        Args:
            inputs (Tensor): Images from :meth:`prepare`, shape (N, C, h, w).
            names (Sequence[str]): Names of the N images.

        Returns:
            list[Quality]: One for each image.

        Raises:
            InputError: If the resizer does not take images of this size.
        """
        data = self.model.data_preprocessor({"inputs": inputs}, training=False)
        qualities = []
        for name, sample in zip(names, self.model.predict(**data), strict=True):
            std = distribution = None
            if "pred_score" in sample:
                distribution = sample.pred_score.float().cpu().numpy()
                offsets = self._scores - distribution @ self._scores
                std = float(np.sqrt(distribution @ offsets**2))
            qualities.append(Quality(name, float(sample.pred_mean), std, distribution))
        return qualities


def _build_pipeline(cfg: Config) -> list:
    """Builds the transforms of a config's test pipeline."""
    name = cfg.filename
    try:
        transforms = cfg.test_dataloader.dataset.pipeline
    except AttributeError as e:
        raise InputError(f"the config {name} has no test pipeline") from e
    enter_scope(cfg)
    try:
        return [TRANSFORMS.build(transform) for transform in transforms]
    except InputError:
        raise
    except Exception as e:  # constructors may raise anything
        raise InputError(
            f"cannot build the test pipeline of {name} ({describe_error(e)})"
        ) from e


def predict_quality(
    model: str | os.PathLike | Config | nn.Module | QualityPredictor,
    images: Image | Sequence[Image],
    checkpoint: str | os.PathLike | None = None,
    out_dir: str | os.PathLike | None = None,
    batch_size: int = 8,
    device: str | None = None,
    num_workers: int = 0,
    on_error: Callable[[str, InputError], None] | None = None,
    progress: bool = False,
) -> list[Quality]:
    """Predicts how people would score images.

    The test pipeline of the model's config prepares the images.

    Args:
        model (str | os.PathLike | Config | nn.Module | QualityPredictor): See
            :class:`QualityPredictor`.
        images (Image | Sequence[Image]): Files, folders (with those below), patterns
            (``photos/**/*.jpg``); arrays of shape (H, W, 3), uint8, BGR, as OpenCV
            reads them, or (H, W), grey; tensors of shape (C, H, W) or (N, C, H, W), 0
            to 255, where C is 3, BGR, or 1, grey.
        checkpoint (str | os.PathLike, optional): See :class:`QualityPredictor`.
        out_dir (str | os.PathLike, optional): A folder for outputs. Nothing is written
            to it here, but a folder or pattern above it does not take what lies in it.
        batch_size (int): Largest number of images in a batch. The images of a batch
            have one size after the pipeline. Defaults to 8.
        device (str, optional): See :class:`QualityPredictor`.
        num_workers (int): Processes that load and prepare images. Defaults to 0: this
            process does.
        on_error (Callable, optional): Called with the name of an image at fault, as in
            :class:`Quality`, and the error: it cannot be loaded, or the pipeline or the
            resizer does not take it. The image is left out. Without ``on_error`` the
            first error is raised.
        progress (bool): Whether to show a progress bar. Defaults to False.

    Returns:
        list[Quality]: In the order of the images; those of a folder or pattern in the
        order of their names.

    Raises:
        InputError: If the model, an image or an argument is at fault.
    """
    check_int("batch_size", batch_size, 1)
    check_int("num_workers", num_workers, 0)
    if isinstance(model, QualityPredictor) and (checkpoint, device) != (None, None):
        raise InputError(
            "checkpoint and device are those of the QualityPredictor already"
        )
    sources = list_images(images, out_dir)
    predictor = (
        model
        if isinstance(model, QualityPredictor)
        else QualityPredictor(model, checkpoint, device)
    )
    scored = run_in_batches(
        LoadedImages(sources, predictor.load, predictor.prepare),
        predictor.predict,
        "score",
        batch_size,
        num_workers,
        on_error,
        progress,
    )
    return [quality for _, quality in scored]


def write_scores(qualities: Sequence[Quality], path: str | os.PathLike) -> None:
    """Writes a table of scores as CSV, whole or not at all.

    The columns are image, mean, std and, for the share of each score, p1, p2 and so on.
    For regression they are image and mean.

    Args:
        qualities (Sequence[Quality]): Scores from one model.
        path (str | os.PathLike): The table; its folder is made if it is missing.

    Raises:
        InputError: If there are no scores.
        OSError: If the file cannot be written.
    """
    _check_scores(qualities)
    header = ["image", "mean"]
    if qualities[0].distribution is not None:
        header += ["std", *(f"p{i + 1}" for i in range(len(qualities[0].distribution)))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for image, mean, std, distribution in qualities:
        row = [image, f"{mean:.4f}"]
        if distribution is not None:
            row += [f"{std:.4f}", *(f"{part:.5f}" for part in distribution)]
        writer.writerow(row)
    write_atomically(Path(path), text.getvalue())


def draw_contact_sheet(
    qualities: Sequence[Quality],
    path: str | os.PathLike,
    columns: int = 6,
    max_images: int = 60,
) -> None:
    """Draws image files in the order of their scores, best first, as a PNG file.

    Below each image are its rank, its mean score with the standard deviation, and its
    name. If there are more images than ``max_images``, evenly spaced ranks are drawn,
    the best and the worst among them. Only these images are loaded, JPEG files at a
    reduced scale.

    Args:
        qualities (Sequence[Quality]): Scores of files.
        path (str | os.PathLike): The picture; its folder is made if it is missing.
        columns (int): Images in a row. Defaults to 6.
        max_images (int): Largest number of images. Defaults to 60.

    Raises:
        InputError: If there are no scores, an image cannot be loaded, or an argument is
            below 1.
        OSError: If the file cannot be written.
    """
    check_int("columns", columns, 1)
    check_int("max_images", max_images, 1)
    _check_scores(qualities)
    ranked = [qualities[i] for i in _rank(qualities)]
    ranks = _choose_ranks(len(ranked), max_images)
    title = f"{len(ranked)} images, best first"
    if len(ranks) < len(ranked):
        title = f"{len(ranks)} of {len(ranked)} images, evenly spaced by rank"
    columns = min(columns, len(ranks))
    rows = -(-len(ranks) // columns)
    step_x, step_y = _THUMBNAIL + _GAP, _THUMBNAIL + 2 * _LINE + _GAP
    # Matplotlib's font has more scripts than Pillow's.
    ttf = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    font = ImageFont.truetype(str(ttf), _FONT_SIZE)
    width = max(columns * step_x, round(font.getlength(title)) + _GAP) + _GAP
    sheet = PillowImage.new("RGB", (width, rows * step_y + _LINE + 2 * _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, _GAP), title, "black", font)
    load = LoadImageFromFile(min_size=_THUMBNAIL)
    for position, rank in enumerate(ranks):
        image, mean, std, _ = ranked[rank]
        row, column = divmod(position, columns)
        x, y = _GAP + column * step_x, 2 * _GAP + _LINE + row * step_y
        sheet.paste(_make_thumbnail(load({"img_path": image})["img"]), (x, y))
        spread = "" if std is None else f" ± {std:.2f}"
        name = _shorten(Path(image).name, font)
        for line, text in enumerate((f"#{rank + 1}  {mean:.2f}{spread}", name)):
            draw.text((x, y + _THUMBNAIL + 2 + line * _LINE), text, "black", font)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    write_atomically(Path(path), buffer.getvalue())


def _check_scores(qualities: Sequence[Quality]) -> None:
    if not qualities:
        raise InputError("qualities must have the scores of at least one image")


def _rank(qualities: Sequence[Quality]) -> list[int]:
    """Returns the indices of images, the best first; equal ones keep their order."""
    means = np.array([quality.mean for quality in qualities])
    return np.argsort(-means, kind="stable").tolist()


def _choose_ranks(count: int, limit: int) -> list[int]:
    """Returns evenly spaced ranks from 0 to count - 1; if only one, the best."""
    shown = min(count, limit)
    return [i * (count - 1) // max(shown - 1, 1) for i in range(shown)]


def _make_thumbnail(image: np.ndarray) -> PillowImage.Image:
    """Fits an image, (H, W, 3) BGR, into a grey square."""
    height, width = image.shape[:2]
    factor = _THUMBNAIL / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    square = PillowImage.new("RGB", (_THUMBNAIL, _THUMBNAIL), "#e0e0e0")
    thumbnail = PillowImage.fromarray(np.ascontiguousarray(image[..., ::-1]))
    corner = (_THUMBNAIL - size[0]) // 2, (_THUMBNAIL - size[1]) // 2
    square.paste(thumbnail.resize(size, PillowImage.Resampling.BICUBIC), corner)
    return square


def _shorten(name: str, font: ImageFont.FreeTypeFont) -> str:
    """Cuts the middle out of a name that is wider than a thumbnail."""
    short = name = printable(name)
    for kept in range(len(name) - 1, 0, -1):
        if font.getlength(short) <= _THUMBNAIL:
            break
        tail = kept // 2
        short = f"{name[: kept - tail]}…{name[len(name) - tail :]}"
    return short
