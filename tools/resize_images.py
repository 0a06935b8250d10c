"""Writes images as a trained resizer passes them to the backbone, as PNG files.

Files that cannot be loaded are named at the end; the others are written.
"""

import argparse
import sys

from mmresizer.apis import resize_images
from mmresizer.utils import exit_on_input_error
from mmresizer.utils.cli import add_inference_arguments, get_inference_options


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="name of a model of the zoo, or a config")
    add_inference_arguments(parser)
    parser.add_argument("--out", required=True, help="folder for the PNG files")
    return parser.parse_args()


def main() -> None:
    """Resizes."""
    args = parse_args()
    errors: list[str] = []
    files = resize_images(
        args.model,
        on_error=lambda image, error: errors.append(str(error)),
        **get_inference_options(args),
    )
    print(f"{len(files)} images in {args.out}")
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    with exit_on_input_error():
        main()
