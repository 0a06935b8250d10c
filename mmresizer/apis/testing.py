"""Evaluation of checkpoints."""

import os
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import mmengine
import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.evaluator import DumpResults
from mmengine.runner import Runner

from mmresizer.analysis.costs import check_input_size
from mmresizer.config.building import (
    build_data,
    build_model,
    build_runner,
    set_dataloader_defaults,
)
from mmresizer.config.checks import check_data, check_settings, find_task
from mmresizer.config.data_checks import check_trained_classes
from mmresizer.config.run_checks import check_topk
from mmresizer.engine import leave_distributed, setup_distributed
from mmresizer.models.utils import check_trained_weights
from mmresizer.registry import get_type_name
from mmresizer.utils import InputError

# What `mmengine.dump` can write.
_METRIC_FORMATS = (".json", ".pkl", ".pickle", ".yaml", ".yml")
_PREDICTION_FORMATS = (".pkl", ".pickle")


def evaluate_model(
    cfg: Config, checkpoint: str, out: str | None = None, out_item: str = "pred"
) -> dict[str, float]:
    """Evaluates a checkpoint on the test set of a config.

    Args:
        cfg (Config): Config of the Runner.
        checkpoint (str): Path or URL of the weights, which must be exactly those of the
            model.
        out (str, optional): File to write results to.
        out_item (str): What to write, "pred" (the predictions, to a pickle file) or
            "metrics". Defaults to "pred".

    Returns:
        dict[str, float]: The metrics.

    Raises:
        InputError: If the config, the data, the checkpoint or ``out`` is at fault.
    """
    formats = _PREDICTION_FORMATS if out_item == "pred" else _METRIC_FORMATS
    if out and Path(out).suffix not in formats:
        raise InputError(
            f"--out for {out_item!r} must end in {' or '.join(formats)}, got {out!r}"
        )
    if out:
        folder = Path(out).parent
        folder.mkdir(parents=True, exist_ok=True)
        if Path(out).is_dir() or not os.access(folder, os.W_OK):
            raise InputError(f"--out must be a file that can be written, got {out!r}")
    runner = build_test(cfg, checkpoint)
    if out and out_item == "pred":
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=out))
    metrics = runner.test()
    if out and out_item == "metrics" and mmengine.dist.is_main_process():
        mmengine.dump(metrics, out)
    del runner
    leave_distributed()
    return metrics


def build_test(cfg: Config, checkpoint: str) -> Runner:
    """Builds and checks what tests a checkpoint on the test set of a config.

    Raises:
        InputError: If the config, the data or the checkpoint is at fault.
    """
    setup_distributed(cfg)
    set_dataloader_defaults(cfg)
    check_settings(cfg, ("test_dataloader", "test_cfg", "test_evaluator"), "test")
    check_data(cfg, "test_dataloader")
    model = build_model(cfg)
    check_input_size(cfg)
    loaded = check_trained_weights(model, checkpoint)
    cfg.load_from = checkpoint
    cfg.resume = False
    runner = build_runner(cfg)
    build_data(runner, cfg, "test")
    check_trained_classes(loaded, runner.test_loop.dataloader.dataset)
    del loaded
    check_topk(cfg, runner.model, runner.test_evaluator)
    return runner


def take_numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Returns the metrics that are single numbers.

    Raises:
        InputError: If there are none.
    """
    numbers = {
        name: float(value)
        for name, value in metrics.items()
        if np.ndim(value) == 0 and not isinstance(value, str)
    }
    if not numbers:
        raise InputError(
            "the evaluator of the config must have a metric that is one number, but "
            f"has {', '.join(metrics) or 'none'}"
        )
    return numbers


def enable_tta(cfg: Config) -> None:
    """Turns on test-time augmentation in a config.

    The ``tta_model`` and ``tta_pipeline`` of the config are used if it has them.
    Otherwise the model sees the image and its mirror image. Their class scores are
    averaged, as in MMPretrain, their boxes merged, as in MMDetection, or the classes of
    their pixels, as in MMSegmentation.

    Raises:
        InputError: If the model predicts a single score, which MMPretrain's averaging
            does not take.
    """
    if "tta_model" not in cfg and (cfg.model.get("head") or {}).get("regression"):
        raise InputError(
            "test-time augmentation averages distributions, but model.head.regression "
            "is True; set a tta_model of your own"
        )
    task = find_task(cfg)
    nms = dict(nms=dict(type="nms", iou_threshold=0.5), max_per_img=100)
    models = {
        "classification": dict(type="mmpretrain.AverageClsScoreTTA"),
        "detection": dict(type="DetTTAModel", tta_cfg=nms),  # in mmengine's registry
        "segmentation": dict(type="SegTTAModel"),
    }
    cfg.setdefault("tta_model", models[task])
    if "tta_pipeline" not in cfg:
        *steps, pack = deepcopy(cfg.test_dataloader.dataset.pipeline)
        if task != "classification":  # merging needs to know which image was flipped
            pack.pop("meta_keys", None)  # the default keys say it
        flips = [dict(type="RandomFlip", prob=prob) for prob in (0.0, 1.0)]
        after = []
        if task == "segmentation":  # labels stay those of the original image
            after = [s for s in steps if get_type_name(s) == "LoadAnnotations"]
            steps = [step for step in steps if step not in after]
        transforms = [flips, *([step] for step in after), [pack]]
        cfg.tta_pipeline = [*steps, dict(type="TestTimeAug", transforms=transforms)]
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)


def set_visualization(cfg: Config, out_dir: str, interval: int = 1) -> None:
    """Changes a config so that test images are written with their predictions.

    Args:
        cfg (Config): Config of the Runner.
        out_dir (str): Folder for the images.
        interval (int): Every interval-th image is written. Defaults to 1.
    """
    hook = dict(
        type="mmresizer.DrawPredictionsHook", out_dir=out_dir, interval=interval
    )
    cfg.default_hooks = {**(cfg.get("default_hooks") or {}), "visualization": hook}
    if cfg.get("visualizer") is None:
        kinds = {
            "classification": "mmpretrain.UniversalVisualizer",
            "detection": "mmdet.DetLocalVisualizer",
            "segmentation": "mmseg.SegLocalVisualizer",
        }
        cfg.visualizer = dict(type=kinds[find_task(cfg)])
