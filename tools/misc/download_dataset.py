"""Downloads a dataset, checks it and makes it ready for the configs."""

import argparse
import sys

from mmresizer.datasets.preparation import SOURCES, prepare_dataset
from mmresizer.utils import exit_on_input_error


def main() -> None:
    """Prints what was found."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__} A folder that is there already is checked only. An "
        "interrupted download continues where it stopped."
    )
    parser.add_argument(
        "--dataset", required=True, metavar="NAME", help=f"one of {', '.join(SOURCES)}"
    )
    parser.add_argument(
        "--dest",
        default="data",
        metavar="DIR",
        help="folder of all datasets; by default data, where the configs look",
    )
    args = parser.parse_args()
    try:
        print(prepare_dataset(args.dataset, args.dest))
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command continues from here")


if __name__ == "__main__":
    with exit_on_input_error():
        main()
