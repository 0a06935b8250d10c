"""Evaluates a checkpoint on the test set of a config."""

import argparse

from mmresizer.apis import enable_tta, evaluate_model, set_visualization
from mmresizer.config.loading import load_run_config
from mmresizer.utils import InputError, exit_on_input_error
from mmresizer.utils.cli import add_run_arguments

import torch


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", help="checkpoint, a path or a URL")
    add_run_arguments(parser)
    parser.add_argument("--out", help="file to write results to")
    parser.add_argument(
        "--out-item",
        choices=["pred", "metrics"],
        default="pred",
        help="what to write: the predictions (.pkl, the default) or the metrics "
        "(.json, .yaml, .pkl)",
    )
    parser.add_argument(
        "--tta",
        action="store_true",
        help="test-time augmentation: as in the config or, if it has none, the mean "
        "over the image and its mirror image",
    )
    parser.add_argument("--amp", action="store_true", help="mixed precision")
    parser.add_argument("--show-dir", help="folder for images with their predictions")
    parser.add_argument(
        "--interval",
        type=int,
        default=1,
        help="every INTERVAL-th image is written to --show-dir",
    )
    return parser.parse_args()


def main() -> None:
    """Tests."""
    args = parse_args()
    cfg = load_run_config(args)
    if cfg.get("test_dataloader") is None:
        raise InputError(f"the config {args.config!r} has no `test_dataloader`")
    if args.amp:
        if not torch.cuda.is_available():
            raise InputError("--amp needs a CUDA device, and none is visible")
        cfg.test_cfg = {**(cfg.get("test_cfg") or {}), "fp16": True}
    if args.interval < 1:
        raise InputError(f"--interval must be at least 1, but got {args.interval}")
    if args.show_dir:
        set_visualization(cfg, args.show_dir, args.interval)
    if args.tta:
        enable_tta(cfg)
    evaluate_model(cfg, args.checkpoint, out=args.out, out_item=args.out_item)


if __name__ == "__main__":
    with exit_on_input_error():
        main()
