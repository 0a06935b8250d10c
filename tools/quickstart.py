"""Trains the demonstration: three resizers on textures too fine for the output.

Writes the runs, the table and the picture to --work-dir. It takes a few minutes on two
cores and downloads nothing.
"""

import argparse

from mmresizer.apis.quickstart import run_quickstart
from mmresizer.utils import exit_on_input_error
from mmresizer.utils.cli import seed


def main() -> None:
    """Runs the demonstration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--work-dir", default="work_dirs/quickstart", help="output folder"
    )
    parser.add_argument("--seed", type=seed, default=0, help="random seed")
    args = parser.parse_args()
    run_quickstart(args.work_dir, args.seed)


if __name__ == "__main__":
    with exit_on_input_error():
        main()
