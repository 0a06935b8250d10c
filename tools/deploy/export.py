"""Exports a trained model, or the part that a device runs, and checks the file."""

import argparse

from mmresizer.deploy import FORMATS, PARTS, export_model
from mmresizer.utils import exit_on_input_error


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="name of a model of the zoo, or a config")
    parser.add_argument(
        "checkpoint", nargs="?", help="weights; a config needs them, a name may"
    )
    parser.add_argument(
        "--part",
        choices=PARTS,
        default="whole",
        help="the resizer, what is behind it, or both (default: %(default)s)",
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="onnx", help="default: %(default)s"
    )
    parser.add_argument(
        "--uint8",
        action="store_true",
        help="the input is RGB images of uint8; the file normalises them",
    )
    parser.add_argument("--out", required=True, help="folder for the file and its card")
    return parser.parse_args()


def main() -> None:
    """Exports."""
    args = parse_args()
    file = export_model(
        args.model, args.out, args.part, args.format, args.checkpoint, args.uint8
    )
    print(f"{file}, checked at five sizes; its card: {file}.json")


if __name__ == "__main__":
    with exit_on_input_error():
        main()
