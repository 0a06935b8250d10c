"""What the command lines of the tools share."""

import argparse
import os
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.hub import get_config

from .errors import HOW_TO_INSTALL_MMDET, InputError


class _ConfigOptions(DictAction):
    """mmengine's action, with one sentence in place of a traceback."""

    def __call__(self, parser, namespace, values, option_string=None):
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
        action=_ConfigOptions,
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


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that :func:`load_run_config` applies."""
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
    parser.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm", "mpi"],
        default="none",
        help="what started the processes of this job",
    )


def load_config(path: str, options: dict | None = None) -> Config:
    """Loads a config and overrides some of its settings.

    Args:
        path (str): Config file.
        options (dict, optional): Values by dotted key.

    Raises:
        InputError: If there is no such file, it is no Python, YAML or JSON file, or it
            cannot be read.
    """
    if not os.path.isfile(path):
        raise InputError(f"the config {path!r} does not exist")
    if Path(path).suffix not in (".py", ".yml", ".yaml", ".json"):
        raise InputError(
            f"the config {path!r} must be a .py, .yml, .yaml or .json file"
        )
    try:
        cfg = Config.fromfile(path)
    except Exception as e:  # a config is a program: it can fail in any way
        reason = f"{type(e).__name__}: {' '.join(str(e).split())}"
        if "mmdet is not installed" in reason:
            reason += f"; {HOW_TO_INSTALL_MMDET}"
        raise InputError(f"cannot read the config {path!r} ({reason})") from e
    cfg.setdefault("launcher", "none")
    try:
        cfg.merge_from_dict(options or {})
    except Exception as e:  # a name below a number, or a list that is too short
        reason = f"{type(e).__name__}: {' '.join(str(e).split())}"
        raise InputError(f"{options} do not fit the config {path!r} ({reason})") from e
    return cfg


def load_named_config(name: str, folder: str | os.PathLike = "") -> Config:
    """Loads a config file, or ``package::family/file.py`` of an installed package.

    Args:
        name (str): The name.
        folder (str | os.PathLike): What a file's path is seen from. Defaults to "".

    Raises:
        InputError: If there is no such config, or it cannot be read.
    """
    if "::" not in name:
        return load_config(os.path.join(folder, name))
    try:
        cfg = get_config(name)
    except Exception as e:  # a missing package or file, or the config itself
        reason = " ".join(str(e).split())
        raise InputError(f"cannot read the config {name!r} ({reason})") from e
    cfg.setdefault("launcher", "none")
    return cfg


def load_run_config(args: argparse.Namespace) -> Config:
    """Loads ``args.config`` and applies the arguments of :func:`add_run_arguments`."""
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    default = os.path.join("work_dirs", Path(args.config).stem)
    cfg.work_dir = args.work_dir or cfg.get("work_dir") or default
    cfg.setdefault("randomness", dict(seed=None))  # the Runner asks for one
    randomness = cfg.randomness
    if args.seed is not None:
        randomness.seed = args.seed
    if args.deterministic:
        randomness.deterministic = True
    return cfg
