"""Writes an exported ONNX file in int8 or float16, and tests it before and after."""

import argparse

from mmresizer.apis import quantize_file
from mmresizer.apis.quantization import PRECISIONS
from mmresizer.config.loading import load_run_config
from mmresizer.deploy import read_card
from mmresizer.utils import exit_on_input_error
from mmresizer.utils.cli import add_run_arguments, positive_int


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", help="from tools/deploy/export.py, .onnx")
    parser.add_argument("config", help="config of the model")
    parser.add_argument("checkpoint", help="the weights that were exported")
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="int8",
        help="of weights and activations (default: %(default)s)",
    )
    parser.add_argument(
        "--images",
        type=positive_int,
        default=200,
        help="number of training images for the ranges of int8 (default: %(default)s)",
    )
    add_run_arguments(parser, distributed=False)
    return parser.parse_args()


def main() -> None:
    """Quantises, and prints the metrics."""
    args = parse_args()
    cfg = load_run_config(args)
    file = quantize_file(args.file, cfg, args.checkpoint, args.precision, args.images)
    print(f"{file}; its card: {file}.json")
    metrics = read_card(file)["metrics"]
    for name, value in metrics["float32"].items():
        print(f"{name}: {value:.4g} before, {metrics[args.precision][name]:.4g} after")


if __name__ == "__main__":
    with exit_on_input_error():
        main()
