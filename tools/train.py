"""Trains the model of a config."""

import argparse
import logging
import os

from mmresizer.apis import train_model
from mmresizer.config.loading import load_run_config
from mmresizer.engine import is_restarting
from mmresizer.utils import InputError, exit_on_input_error
from mmresizer.utils.cli import add_run_arguments


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="config file")
    add_run_arguments(parser)
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        help="continue from this checkpoint or, without a value, from the last one in "
        "the work folder",
    )
    parser.add_argument(
        "--amp",
        nargs="?",
        const="float16",
        choices=["float16", "bfloat16"],
        help="mixed precision; without a value, float16",
    )
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate by batch size over auto_scale_lr.base_batch_size",
    )
    parser.add_argument(
        "--no-validate", action="store_true", help="do not validate during training"
    )
    return parser.parse_args()


def main() -> None:
    """Trains."""
    logging.raiseExceptions = False  # a log that the disk does not take is no traceback
    args = parse_args()
    cfg = load_run_config(args)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp and cfg.get("optim_wrapper"):
        _mix_precision(cfg.optim_wrapper, args.amp)
    if args.auto_scale_lr:
        if "base_batch_size" not in (cfg.get("auto_scale_lr") or {}):
            raise InputError(
                f"--auto-scale-lr: {args.config!r} has no auto_scale_lr.base_batch_size"
            )
        cfg.auto_scale_lr.enable = True
    if args.resume:
        cfg.resume = True
        cfg.load_from = None if args.resume == "auto" else args.resume
    elif is_restarting() and os.path.isfile(f"{cfg.work_dir}/last_checkpoint"):
        cfg.resume, cfg.load_from = True, None
    train_model(cfg, save_at_signals=True)


def _mix_precision(optim_wrapper: dict, dtype: str) -> None:
    if dtype == "bfloat16":  # on CPUs, too, and without a scale
        optim_wrapper["type"] = "mmresizer.BFloat16OptimWrapper"
        for key in ("dtype", "loss_scale"):
            optim_wrapper.pop(key, None)
    else:
        optim_wrapper.update(type="AmpOptimWrapper", dtype=dtype)
        optim_wrapper.setdefault("loss_scale", "dynamic")


if __name__ == "__main__":
    with exit_on_input_error():
        main()
