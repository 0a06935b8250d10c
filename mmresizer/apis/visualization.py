"""Pictures of what a trained resizer does."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dataset import Compose
from mmpretrain.registry import TRANSFORMS
from PIL import Image

from mmresizer.hub.loading import load_model
from mmresizer.models.utils import get_resizer
from mmresizer.registry import get_type_name
from mmresizer.utils import InputError
from mmresizer.visualization import draw_resizer

from .batches import loader_for


def visualize_resizer(
    cfg: Config, checkpoint: str, images: Sequence[str], out_dir: str
) -> Iterator[Path]:
    """Draws :func:`mmresizer.visualization.draw_resizer` for each image file.

    Args:
        cfg (Config): Config with a resizer; its test pipeline prepares the images.
        checkpoint (str): Path or URL of the weights.
        images (Sequence[str]): Image files. If several have one name, the later ones
            get a number.
        out_dir (str): Folder for the pictures, ``NAME_resizer.png``.

    Yields:
        Path: The picture of each image, once it is written.

    Raises:
        InputError: If the config, the checkpoint or an image is at fault.
    """
    if cfg.get("test_dataloader") is None:
        raise InputError(f"the config {cfg.filename} has no `test_dataloader`")
    model = load_model(cfg, checkpoint)
    resizer = get_resizer(model)
    pipeline = [  # files alone have no labels
        step
        for step in cfg.test_dataloader.dataset.pipeline
        if get_type_name(step) != "LoadAnnotations"
    ]
    transforms = [TRANSFORMS.build(transform) for transform in pipeline]
    if not pipeline or "Load" not in str(pipeline[0]["type"]):
        # The dataset makes its images in memory.
        transforms.insert(0, loader_for(resizer))
    prepare = Compose(transforms)
    folder = Path(out_dir)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"the output folder {out_dir!r} is a file")
    inputs = [prepare({"img_path": image})["inputs"] for image in images]
    folder.mkdir(parents=True, exist_ok=True)
    written: set[Path] = set()
    for image, tensor in zip(images, inputs, strict=True):
        name = Path(image).stem
        path = folder / f"{name}_resizer.png"
        number = 2
        while path in written:
            path = folder / f"{name}-{number}_resizer.png"
            number += 1
        Image.fromarray(draw_resizer(model, [tensor], [Path(image).name])).save(path)
        written.add(path)
        yield path
