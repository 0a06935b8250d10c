"""What the tests of configs share: names, who stands for a family, its page's line."""

import argparse
import re
import subprocess
from pathlib import Path

from conftest import ROOT
from mmresizer.config.loading import load_config
from mmresizer.utils.cli import add_config_options

NAME = re.compile(
    r"(?P<resizer>resizer|resizer-aa|muller|bilinear|bilinear-aa|bicubic)x(?P<factor>[\d.]+)"
    r"_(?P<backbone>[\w-]+?)_(?P<gpus>\d+)xb(?P<batch>\d+)(?P<setting>-[\w-]+)?"
    r"_(?P<dataset>[a-z0-9-]+)_(?P<output>\d+)px"
)
# The commands of a page print their arguments, a line each.
_PRINT = "".join(
    f"{command}() {{ printf '%s\\n' \"$@\"; }}; " for command in ("python", "bash")
)


def pick_representatives(paths):
    """Returns one config for each family and backbone, a learned one.

    The others are built under the marker `zoo`.
    """
    chosen = {}
    for path in sorted(paths):  # the last one is kept: resizerx2 comes after bilinearx2
        backbone = NAME.fullmatch(path.stem)["backbone"]
        chosen[path.parent.name, backbone] = path
    return set(chosen.values())


def read_commands(family):
    """Returns the commands of a family's page that have `--cfg-options`."""
    page = (ROOT / "configs" / family / "README.md").read_text()
    blocks = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    return [block for block in blocks if "--cfg-options" in block]


def run_command(command, n):
    """Returns the config of a command that sets `n`, with its options for another n.

    Returns:
        tuple[Path, dict]: File of the config, and the options by dotted key.
    """
    command, count = re.subn(r"\bn=\d+;", f"n={n};", command)
    assert count == 1, command
    shell = ["bash", "-c", _PRINT + command]
    result = subprocess.run(shell, capture_output=True, text=True, check=True)
    words = result.stdout.splitlines()
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    args, _ = parser.parse_known_args(words)
    (config,) = [word for word in words if word.endswith(".py") and "configs/" in word]
    return ROOT / config, args.cfg_options


def load_recipe(config, folder):
    """Loads a config with the recipe for trained backbones, as CUB's page shows it."""
    page = (ROOT / "configs/cub/README.md").read_text()
    (block,) = [
        block
        for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        if "resizer_adamw" in block
    ]
    block, count = re.subn(r"mmresizer::cub/[\w-]+\.py", str(config), block)
    assert count == 1
    (folder / "recipe.py").write_text(block)
    return load_config(str(folder / "recipe.py"))


def load_at(command, n, path: Path | None = None):
    """Loads the config of a command with its options for n, or another config."""
    config, options = run_command(command, n)
    return load_config(str(path or config), options)
