"""Adds the weights of a resizer to those of a plain classifier."""

import argparse

from mmresizer.converters.common import load_weights, save_weights
from mmresizer.converters.mmpretrain import add_resizer
from mmresizer.utils import exit_on_input_error


def main() -> None:
    """Prints where the weights are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="checkpoint of a classifier of MMPretrain")
    parser.add_argument("resizer", help="weights of a resizer alone")
    parser.add_argument("out", help="checkpoint to write")
    parser.add_argument("--config", help="config whose model the weights have to fit")
    args = parser.parse_args()
    weights = add_resizer(load_weights(args.source), load_weights(args.resizer))
    sources = [args.source, args.resizer]
    print(save_weights(weights, args.out, sources, args.config))


if __name__ == "__main__":
    with exit_on_input_error():
        main()
