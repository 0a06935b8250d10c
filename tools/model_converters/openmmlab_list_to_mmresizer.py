"""Converts checkpoints of a list backbone: LearnableResizer and another one."""

import argparse

from mmresizer.converters.common import load_weights, save_weights
from mmresizer.converters.openmmlab_list import convert_openmmlab_list
from mmresizer.utils import exit_on_input_error


def main() -> None:
    """Prints where the weights are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="checkpoint with backbone.0.* and backbone.1.*")
    parser.add_argument("out", help="checkpoint to write")
    parser.add_argument("--config", help="config whose model the weights have to fit")
    args = parser.parse_args()
    weights = convert_openmmlab_list(load_weights(args.source))
    print(save_weights(weights, args.out, [args.source], args.config))


if __name__ == "__main__":
    with exit_on_input_error():
        main()
