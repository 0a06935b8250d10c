"""Says whether a learned resizer can pay on your data.

Small models measure what resizing loses, and how much of it a resizer wins back.
"""

import argparse
import os
import sys
from pathlib import Path

from mmresizer.comparison.cli import INTERRUPTED, add_executor_options, make_executor
from mmresizer.comparison.compare import compare
from mmresizer.comparison.probe import ProbeSize, explain_probe, make_probe
from mmresizer.config.loading import load_named_config, override_settings
from mmresizer.utils import exit_on_input_error
from mmresizer.utils.cli import add_config_options, image_size, positive_int
from mmresizer.utils.errors import check_keys
from mmresizer.utils.files import write_atomically
from mmresizer.utils.tables import show_size

from mmengine.logging import MMLogger


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "config",
        help="config of a classifier, whose data are used: a file, or PACKAGE::",
    )
    parser.add_argument(
        "--output-size",
        type=image_size,
        metavar="N|HxW",
        help="pixels that a backbone would get; by default those of the config's "
        "resizer",
    )
    size = ProbeSize()
    for name, what in (
        ("images", "images of each split, drawn at random"),
        ("epochs", "epochs of a run"),
        ("seeds", "runs of each arm, 2 or more"),
    ):
        default = getattr(size, name)
        text = f"{what} (default: {default})"
        parser.add_argument(f"--{name}", type=positive_int, default=default, help=text)
    parser.add_argument(
        "--work-dir",
        help="folder for runs and results, by default "
        "work_dirs/probe/NAME_OF_CONFIG_SIZEpx_IMAGESxEPOCHS; the same command goes on "
        "with what is there",
    )
    add_config_options(parser)
    add_executor_options(parser)
    return parser.parse_args()


def main() -> int:
    """Probes."""
    args = parse_args()
    executor = make_executor(args)
    # An optimizer tells the options of every parameter, and each arm has one.
    MMLogger.get_current_instance().setLevel("WARNING")
    cfg = load_named_config(args.config)
    options = args.cfg_options or {}
    check_keys("--cfg-options", [key.partition(".")[0] for key in options], cfg)
    override_settings(cfg, options, args.config)
    name = Path(args.config.rpartition("::")[2]).stem
    size = ProbeSize(args.images, args.epochs, args.seeds)
    spec, chance = make_probe(cfg, name, args.output_size, size)
    output = show_size(spec.arms[0].output_size)
    question = f"{name}_{output}px_{size.images}x{size.epochs}"
    work_dir = args.work_dir or os.path.join("work_dirs", "probe", question)
    summary = compare(spec, work_dir, executor)
    answer = f"# {name}\n\n{explain_probe(summary, chance)}\n"
    write_atomically(Path(work_dir) / "probe.md", answer)
    print(answer)
    print(f"Tables and plots: {Path(work_dir).absolute()}")
    return 1 if summary["failures"] else 0


if __name__ == "__main__":
    with exit_on_input_error(INTERRUPTED):
        sys.exit(main())
