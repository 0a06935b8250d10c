"""Converts weights of Keras's example: resizer and DenseNet-121, or a resizer."""

import argparse

from mmresizer.converters.common import save_weights
from mmresizer.converters.keras import convert_keras
from mmresizer.utils import exit_on_input_error


def main() -> None:
    """Prints where the weights are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help=".h5, .weights.h5 or .keras file")
    parser.add_argument("out", help="checkpoint to write")
    parser.add_argument("--config", help="config whose model the weights have to fit")
    args = parser.parse_args()
    weights = convert_keras(args.source)
    print(save_weights(weights, args.out, [args.source], args.config))


if __name__ == "__main__":
    with exit_on_input_error():
        main()
