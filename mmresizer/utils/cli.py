"""Arguments that the command lines of the tools share."""

import argparse
import re
from typing import Any

from mmengine.config import DictAction


class KeyValues(DictAction):
    """mmengine's action, with one sentence instead of a traceback."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Parses the pairs."""
        try:
            super().__call__(parser, namespace, values, option_string)
        except Exception:
            accepted = "key=value pairs without white space"
            parser.error(f"{option_string} must be {accepted}, but got {values}")


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--cfg-options``."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=KeyValues,
        metavar="KEY=VALUE",
        help="settings that override the config, such as model.resizer.output_size=96; "
        'a list is key=a,b or key="[a,b]", without white space',
    )


def seed(text: str) -> int:
    """Parses a random seed, an int from 0 to 2**32 - 1."""
    number = int(text)
    if not 0 <= number < 2**32:
        raise ValueError
    return number


def positive_int(text: str) -> int:
    """Parses a positive int."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive int, but got {text!r}")
    return int(text)


def count(text: str) -> int:
    """Parses 0 or a positive int."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be an int of 0 or more, got {text!r}")
    return int(text)


def image_size(text: str) -> tuple[int, int]:
    """Parses a size in pixels: "224" for a square, or "240x320", height first."""
    if not re.fullmatch(r"0*[1-9]\d*(x0*[1-9]\d*)?", text, re.ASCII):
        raise argparse.ArgumentTypeError(
            f"must be a size such as 224 or, height x width, 240x320, got {text!r}"
        )
    numbers = [int(number) for number in text.split("x")]
    return numbers[0], numbers[-1]


def add_run_arguments(
    parser: argparse.ArgumentParser, distributed: bool = True
) -> None:
    """Adds the arguments that :func:`mmresizer.config.loading.load_run_config` uses.

    Args:
        parser (argparse.ArgumentParser): The parser.
        distributed (bool): Whether the tool runs in several processes. Defaults to
            True.
    """
    parser.add_argument(
        "--work-dir",
        help="folder for logs, checkpoints and results; by default the config's or, if "
        "it has none, work_dirs/NAME_OF_CONFIG",
    )
    add_config_options(parser)
    parser.add_argument("--seed", type=seed, help="random seed")
    parser.add_argument(
        "--deterministic", action="store_true", help="use deterministic algorithms only"
    )
    if not distributed:
        parser.set_defaults(launcher="none")
        return
    parser.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm", "mpi"],
        default="none",
        help="what started the processes of a distributed job",
    )


def add_inference_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the tools share that run a model on images."""
    parser.add_argument("images", nargs="+", help="image files, folders or patterns")
    parser.add_argument("--checkpoint", help="weights, for a config")
    parser.add_argument("--batch-size", type=positive_int, default=8)
    parser.add_argument(
        "--workers", type=positive_int, default=2, help="processes that load files"
    )
    parser.add_argument("--device", help="by default the GPU where there is one")


def get_inference_options(args: argparse.Namespace) -> dict[str, Any]:
    """Returns arguments of the functions of :mod:`mmresizer.apis` that take images.

    Args:
        args (argparse.Namespace): With the arguments of
            :func:`add_inference_arguments` and ``out``, the output folder.
    """
    return dict(
        images=args.images,
        checkpoint=args.checkpoint,
        out_dir=args.out,
        batch_size=args.batch_size,
        device=args.device,
        num_workers=args.workers,
        progress=True,
    )
