"""Splits the checkpoint of a classifier with a resizer."""

import argparse

from mmresizer.converters.common import check_is_no_source, load_weights, save_weights
from mmresizer.converters.mmpretrain import split_resizer
from mmresizer.utils import InputError, exit_on_input_error


def main() -> None:
    """Prints where the weights are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", help="checkpoint with resizer.*")
    parser.add_argument("out", help="checkpoint of the plain classifier to write")
    parser.add_argument("--resizer", help="file for the resizer alone")
    args = parser.parse_args()
    plain, resizer = split_resizer(load_weights(args.checkpoint))
    if not resizer:
        raise InputError(f"{args.checkpoint!r} has no weights of a resizer")
    if args.resizer:
        check_is_no_source(args.out, [args.resizer])
    print(save_weights(plain, args.out, [args.checkpoint]))
    if args.resizer:
        print(save_weights(resizer, args.resizer, [args.checkpoint]))


if __name__ == "__main__":
    with exit_on_input_error():
        main()
