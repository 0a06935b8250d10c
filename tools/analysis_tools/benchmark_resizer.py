"""Measures speed and memory of the learned resizer on this machine.

Times of one run are comparable, those of two runs are not: other programs on the
machine share its cores. Compare ratios.
"""

import argparse

from mmresizer.analysis.resizer_benchmark import (
    DTYPES,
    MODES,
    MODULES,
    VARIANTS,
    TimedArm,
    benchmark_resizer,
)
from mmresizer.utils import exit_on_input_error
from mmresizer.utils.cli import KeyValues, count, image_size, positive_int

import torch


def size_pair(text: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Parses "448:224" or "480x640:240x320", height first."""
    try:
        source, target = text.split(":")
        return image_size(source), image_size(target)
    except (ValueError, argparse.ArgumentTypeError) as e:
        accepted = "INPUT:OUTPUT such as 448:224 or 480x640:240x320"
        raise argparse.ArgumentTypeError(f"must be {accepted}, got {text!r}") from e


def arm(text: str) -> TimedArm:
    """Parses "ours" or "layers+channels_last+compiled"."""
    try:
        parsed = TimedArm.parse(text)
        if parsed.module not in MODULES:
            raise ValueError
    except ValueError as e:
        accepted = f"one of {', '.join(MODULES)}, and any of +{', +'.join(VARIANTS)}"
        raise argparse.ArgumentTypeError(f"must be {accepted}, got {text!r}") from e
    return parsed


def backbone(text: str) -> TimedArm:
    """Parses "resnet50_8xb32_in1k+channels_last"."""
    try:
        return TimedArm.parse(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from e


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", default="work_dirs/benchmark_resizer", help="output folder"
    )
    parser.add_argument(
        "--sizes",
        type=size_pair,
        nargs="+",
        default=[((448, 448), (224, 224))],
        metavar="INPUT:OUTPUT",
        help="in pixels, such as 448:224 or 480x640:240x320 (height x width)",
    )
    parser.add_argument("--batch-sizes", type=positive_int, nargs="+", default=[1, 8])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument(
        "--arms",
        type=arm,
        nargs="+",
        default=[TimedArm("layers"), TimedArm("ours"), TimedArm("interpolation")],
        metavar="ARM",
        help=f"of {', '.join(MODULES)}, with any of +{', +'.join(VARIANTS)}, such as "
        "layers+channels_last; the layers called one by one, in float32, are always "
        "measured",
    )
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=["float32"])
    parser.add_argument(
        "--backbones",
        type=backbone,
        nargs="+",
        default=[],
        metavar="NAME",
        help="models of MMPretrain, such as resnet50_8xb32_in1k+channels_last, to "
        "measure alone and behind the resizer",
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=positive_int, help="on the CPU")
    parser.add_argument("--repeats", type=positive_int, default=7)
    parser.add_argument(
        "--resizer",
        nargs="+",
        action=KeyValues,
        metavar="KEY=VALUE",
        help="arguments of the learned resizers but for their size, such as "
        "antialias=True stem_stride=2 norm_cfg=None",
    )
    parser.add_argument(
        "--load",
        type=count,
        default=0,
        metavar="N",
        help="N busy processes beside (default: 0)",
    )
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    benchmark_resizer(
        args.out,
        args.sizes,
        args.batch_sizes,
        args.modes,
        args.arms,
        args.dtypes,
        args.backbones,
        args.device,
        args.repeats,
        args.resizer,
        args.load,
    )


if __name__ == "__main__":
    with exit_on_input_error():
        main()
