"""Speed of a config's data pipeline beside that of its training."""

import os
import time
from tempfile import TemporaryDirectory

import cv2
import mmcv
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate, pseudo_collate
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from torch.utils.benchmark import Timer

from mmresizer.config.building import build_model
from mmresizer.config.checks import check_data
from mmresizer.datasets.transforms import LoadImageFromFile
from mmresizer.registry import DATASETS
from mmresizer.utils import InputError
from mmresizer.utils.tables import make_table


def benchmark_loading(
    cfg: Config, num_images: int = 200, enlarge: int | None = None
) -> str:
    """Measures what one core loads and what this machine trains.

    Args:
        cfg (Config): Config of the Runner.
        num_images (int): Number of training images to load, of which a training step
            gets a batch.
        enlarge (int, optional): Shorter side, in pixels, of JPEG copies that are loaded
            in place of the images. Defaults to None: the images as they are.

    Returns:
        str: The table, in Markdown.

    Raises:
        InputError: If the config or its data is at fault.
    """
    if cfg.get("train_dataloader") is None:
        raise InputError(f"the config {cfg.filename} has no `train_dataloader`")
    MMLogger.get_current_instance().setLevel("ERROR")
    check_data(cfg, "train_dataloader")
    model = build_model(cfg)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    if not hasattr(dataset, "pipeline") or not len(dataset):
        raise InputError(
            f"the training set of {cfg.filename} must have images and a pipeline of "
            "its own; wrapped datasets are not measured"
        )
    batch_size = cfg.train_dataloader.batch_size
    if num_images < batch_size:
        raise InputError(
            f"--num-images must be at least the batch size, {batch_size}, to measure "
            f"training too, but got {num_images}"
        )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with TemporaryDirectory() as folder:
            seconds, samples = _load(dataset, num_images, enlarge, folder)
    finally:
        torch.set_num_threads(threads)
    seconds["in all"] = sum(seconds.values())
    each = {step: value / len(samples) for step, value in seconds.items()}
    table = make_table(
        ("step", "ms an image", "images a second of one core"),
        [(step, f"{1e3 * t:.2f}", f"{1 / t:.0f}") for step, t in each.items()],
    )
    rate = _measure_training(cfg, model, samples)
    device = "GPU" if torch.cuda.is_available() else f"CPU, {threads} threads"
    return (
        f"{table}\n\nTraining on this machine's {device}: {rate:.0f} images a second; "
        f"{rate * each['in all']:.2f} cores load as many."
    )


def _load(
    dataset, num_images: int, enlarge: int | None, folder: str
) -> tuple[dict[str, float], list]:
    """Returns the seconds of each step of the pipeline, and the samples."""
    transforms = dataset.pipeline.transforms
    names = [f"{i}. {type(t).__name__}" for i, t in enumerate(transforms, 1)]
    seconds = dict.fromkeys(names, 0.0)
    samples = []
    for i in range(num_images):
        results = dataset.get_data_info(i % len(dataset))
        if enlarge and "img_path" in results:
            results["img_path"] = _enlarge(results["img_path"], enlarge, folder)
        for name, transform in zip(names, transforms, strict=True):
            start = time.perf_counter()
            results = transform(results)
            seconds[name] += time.perf_counter() - start
        samples.append(results)
    return seconds, samples


def _enlarge(path: str, size: int, folder: str) -> str:
    """Writes a JPEG copy whose shorter side has a size, and returns its path."""
    image = LoadImageFromFile()({"img_path": path})["img"]
    factor = size / min(image.shape[:2])
    copy = cv2.resize(image, None, fx=factor, fy=factor)
    target = os.path.join(folder, "image.jpg")
    mmcv.imwrite(copy, target, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return target


def _measure_training(cfg: Config, model: torch.nn.Module, samples: list) -> float:
    """Returns the images a second of training steps."""
    if torch.cuda.is_available():
        model.cuda()
    optimizer = build_optim_wrapper(model.train(), cfg.optim_wrapper)
    collate = default_collate
    if len({sample["inputs"].shape for sample in samples}) > 1:
        collate = pseudo_collate
    batch = collate(samples[: cfg.train_dataloader.batch_size])
    step = Timer(
        "model.train_step(batch, optimizer)",
        globals=dict(model=model, batch=batch, optimizer=optimizer),
        num_threads=torch.get_num_threads(),
    )
    step.timeit(2)
    return len(batch["inputs"]) / step.blocked_autorange(min_run_time=3).median
