"""Loading of configs: from files, from packages, from command lines."""

import argparse
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.hub import get_config

from mmresizer.utils import InputError
from mmresizer.utils.errors import (
    HOW_TO_INSTALL_MMDET,
    HOW_TO_INSTALL_MMSEG,
    describe_error,
    one_line,
)

# By what mmengine calls a library in `_base_ = "mmdet::..."`.
_HOW_TO_INSTALL = {"mmdet": HOW_TO_INSTALL_MMDET, "mmseg": HOW_TO_INSTALL_MMSEG}
CONFIG_SUFFIXES = (".py", ".yml", ".yaml", ".json")


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
    if Path(path).suffix not in CONFIG_SUFFIXES:
        raise InputError(
            f"the config {path!r} must be a .py, .yml, .yaml or .json file"
        )
    try:
        cfg = Config.fromfile(path)
        _import_classes(cfg._cfg_dict)
    except Exception as e:  # a config is a program and may raise anything
        reason = describe_error(e)
        for package, how in _HOW_TO_INSTALL.items():
            # The second is what mmengine says of `custom_imports`.
            said = (f"{MODULE2PACKAGE[package]} is not installed", f"'{package}.")
            if find_spec(package) is None and any(words in reason for words in said):
                reason += f"; {how}"
        raise InputError(f"cannot read the config {path!r} ({reason})") from e
    cfg.setdefault("launcher", "none")
    override_settings(cfg, options, path)
    return cfg


def override_settings(cfg: Config, options: dict | None, name: str) -> None:
    """Overrides settings of a config.

    Args:
        cfg (Config): The config.
        options (dict, optional): Values by dotted key.
        name (str): What the config is called, for the message.

    Raises:
        InputError: If they do not fit.
    """
    try:
        cfg.merge_from_dict(options or {})
    except Exception as e:  # a name below a number, or a list that is too short
        raise InputError(
            f"{options} do not fit the config {name!r} ({describe_error(e)})"
        ) from e


def _import_classes(node: Any) -> None:
    """Imports the classes of a new-style config, which else happens at their use."""
    values = node.values() if isinstance(node, Mapping) else node
    for value in values:
        if isinstance(value, Mapping | list | tuple):
            _import_classes(value)


def load_named_config(name: str, folder: str | os.PathLike = "") -> Config:
    """Loads a config file, or ``package::family/file.py`` of an installed package.

    Args:
        name (str): The name.
        folder (str | os.PathLike): The folder that a file's path starts from. Defaults
            to "", the current one.

    Raises:
        InputError: If there is no such config or package, or it cannot be read.
    """
    if "::" not in name:
        return load_config(os.path.join(folder, name))
    package = name.partition("::")[0]
    # mmengine would install it, unasked.
    if not package.isidentifier() or find_spec(package) is None:
        how = _HOW_TO_INSTALL.get(package)
        raise InputError(
            f"the config {name!r} needs the package {package!r}, which is not "
            f"installed{f'; {how}' if how else ''}"
        )
    try:
        cfg = get_config(name)
        _import_classes(cfg._cfg_dict)
    except Exception as e:  # a missing package or file, or the config itself
        raise InputError(f"cannot read the config {name!r} ({one_line(e)})") from e
    cfg.setdefault("launcher", "none")
    return cfg


def load_run_config(args: argparse.Namespace) -> Config:
    """Loads ``args.config`` and applies what the command line says.

    Args:
        args (argparse.Namespace): With the arguments of
            :func:`mmresizer.utils.cli.add_run_arguments`.

    Raises:
        InputError: As in :func:`load_config`.
    """
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
