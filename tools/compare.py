"""Compares resizers: trains every arm of a spec and says what the numbers allow."""

import argparse
import os
import sys
from pathlib import Path

from mmresizer.comparison.cli import INTERRUPTED, add_executor_options, make_executor
from mmresizer.comparison.compare import compare
from mmresizer.comparison.report import write_report
from mmresizer.comparison.spec import load_spec
from mmresizer.comparison.summary_page import render
from mmresizer.utils import InputError, exit_on_input_error
from mmresizer.utils.cli import add_config_options

from mmengine.logging import MMLogger


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec", nargs="?", help="file that names the arms and seeds")
    parser.add_argument(
        "--work-dir",
        help="folder for runs and results, by default work_dirs/compare/NAME_OF_SPEC; "
        "the same command goes on with what is there",
    )
    add_config_options(parser)
    add_executor_options(parser)
    parser.add_argument(
        "--report",
        metavar="DIR",
        help="train nothing; make summary and plots again from the tables in DIR",
    )
    return parser.parse_args()


def main() -> int:
    """Compares."""
    args = parse_args()
    if (args.spec is None) == (args.report is None):
        raise InputError("give a spec, or --report DIR, and not both")
    if args.report:
        print(render(write_report(Path(args.report))))
        return 0
    executor = make_executor(args)
    # An optimizer tells the options of every parameter, and each arm has one.
    MMLogger.get_current_instance().setLevel("WARNING")
    spec = load_spec(args.spec, args.cfg_options)
    work_dir = args.work_dir or os.path.join("work_dirs", "compare", spec.name)
    summary = compare(spec, work_dir, executor)
    print(render(summary))
    print(f"Tables and plots: {Path(work_dir).absolute()}")
    return 1 if summary["failures"] else 0


if __name__ == "__main__":
    with exit_on_input_error(INTERRUPTED):
        sys.exit(main())
