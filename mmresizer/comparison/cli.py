"""Options of the command lines of comparisons."""

import argparse
import math

from mmresizer.utils import InputError
from mmresizer.utils.cli import positive_int

from .executors import Executor, LocalExecutor, RayExecutor

INTERRUPTED = "interrupted; the same command goes on with the runs that are left"


def add_executor_options(parser: argparse.ArgumentParser) -> None:
    """Adds what :func:`make_executor` reads."""
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


def make_executor(args: argparse.Namespace) -> Executor:
    """Makes what starts the runs.

    Args:
        args (argparse.Namespace): With the options of :func:`add_executor_options`.

    Raises:
        InputError: If options contradict each other, or Ray cannot be used.
    """
    if not args.ray:
        return LocalExecutor(args.threads, args.jobs)
    if args.threads or args.jobs > 1:
        raise InputError(
            "--threads and --jobs are for runs without --ray; there is --ray-cpus"
        )
    return RayExecutor(args.ray, args.ray_cpus, args.ray_gpus)


def number_of_gpus(text: str) -> float:
    """Parses a number of GPUs, which may be a fraction."""
    number = float(text)
    if not 0 <= number < math.inf:
        raise ValueError
    return number
