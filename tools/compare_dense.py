"""Compares detectors or segmentors with their baseline, over several seeds."""

import argparse

from mmresizer.comparison.cli import INTERRUPTED, add_executor_options, make_executor
from mmresizer.comparison.dense import compare_dense
from mmresizer.utils import exit_on_input_error
from mmresizer.utils.cli import seed


def main() -> None:
    """Writes results.csv and summary.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "configs", nargs="+", metavar="CONFIG", help="config files, the baseline first"
    )
    parser.add_argument("--work-dir", required=True, help="folder for runs and results")
    parser.add_argument("--seeds", nargs="+", type=seed, default=[0, 1, 2])
    add_executor_options(parser)
    args = parser.parse_args()
    compare_dense(args.configs, args.work_dir, args.seeds, make_executor(args))
    print(f"Tables: {args.work_dir}")


if __name__ == "__main__":
    with exit_on_input_error(INTERRUPTED):
        main()
