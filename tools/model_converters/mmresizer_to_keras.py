"""Writes weights into a copy of a file that Keras has saved from the same model."""

import argparse

from mmresizer.converters.common import check_is_no_source, load_weights
from mmresizer.converters.keras import export_keras
from mmresizer.utils import exit_on_input_error


def main() -> None:
    """Prints where the weights are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", help="weights of resizer and DenseNet-121")
    parser.add_argument("template", help=".h5, .weights.h5 or .keras file")
    parser.add_argument("out", help="file of the same format to write")
    args = parser.parse_args()
    check_is_no_source(args.out, [args.checkpoint])
    print(export_keras(load_weights(args.checkpoint), args.template, args.out))


if __name__ == "__main__":
    with exit_on_input_error():
        main()
