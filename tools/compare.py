"""Compares resizers: trains every arm of a spec and says what the numbers allow."""

import argparse
import math
import os
import sys
from pathlib import Path

from mmengine.logging import MMLogger

from mmresizer.comparison.compare import compare
from mmresizer.comparison.executors import LocalExecutor, RayExecutor
from mmresizer.comparison.report import write_report
from mmresizer.comparison.spec import load_spec
from mmresizer.comparison.summary_page import render
from mmresizer.utils import InputError, exit_on_input_error
from mmresizer.utils.cli import add_config_options, positive_int


def number_of_gpus(text: str) -> float:
    """Parses a number of GPUs, which may be a fraction."""
    number = float(text)
    if not 0 <= number < math.inf:
        raise ValueError
    return number


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
    parser.add_argument(
        "--threads", type=positive_int, help="CPU threads of a run; default: torch's"
    )
    parser.add_argument(
        "--jobs",
        type=positive_int,
        default=1,
        help="runs at a time on this machine, which share its cores and GPU "
        "(default: 1)",
    )
    parser.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="runs in parallel by Ray, on this machine or in the cluster at ADDRESS "
        "('auto': the one that is started here)",
    )
    parser.add_argument(
        "--ray-cpus", type=positive_int, default=1, help="CPUs of a run (default: 1)"
    )
    parser.add_argument(
        "--ray-gpus",
        type=number_of_gpus,
        metavar="N",
        help="GPUs of a run, such as 0.5 (default: 1 where there are any)",
    )
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
    if args.ray and (args.threads or args.jobs > 1):
        raise InputError(
            "--threads and --jobs are for runs without --ray; there is --ray-cpus"
        )
    # An optimizer tells the options of every parameter, and each arm has one.
    MMLogger.get_current_instance().setLevel("WARNING")
    spec = load_spec(args.spec, args.cfg_options)
    work_dir = args.work_dir or os.path.join("work_dirs", "compare", spec.name)
    executor = (
        RayExecutor(args.ray, args.ray_cpus, args.ray_gpus)
        if args.ray
        else LocalExecutor(args.threads, args.jobs)
    )
    try:
        summary = compare(spec, work_dir, executor)
    except KeyboardInterrupt:
        print(
            "interrupted; the same command goes on with the runs that are left",
            file=sys.stderr,
        )
        return 130
    print(render(summary))
    print(f"Tables and plots: {Path(work_dir).absolute()}")
    return 1 if summary["failures"] else 0


if __name__ == "__main__":
    with exit_on_input_error():
        sys.exit(main())
