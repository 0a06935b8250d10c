"""Checks a dataset that is unpacked already, and writes its lists of images."""

import argparse

from mmresizer.datasets.preparation import SOURCES, check_dataset
from mmresizer.utils import exit_on_input_error


def main() -> None:
    """Prints what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", help=f"one of {', '.join(SOURCES)}")
    parser.add_argument("folder", help="holds what the archive of the dataset holds")
    args = parser.parse_args()
    print(check_dataset(args.dataset, args.folder))


if __name__ == "__main__":
    with exit_on_input_error():
        main()
