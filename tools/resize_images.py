"""Writes images as a trained resizer hands them to the backbone, as PNG files.

Files that cannot be read are named at the end; the others are written.
"""

import argparse
import sys

from mmresizer.apis import resize_images
from mmresizer.utils import exit_on_input_error
from mmresizer.utils.cli import positive_int


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="name of a model of the zoo, or a config")
    parser.add_argument("images", nargs="+", help="image files, folders or patterns")
    parser.add_argument("--out", required=True, help="folder for the PNG files")
    parser.add_argument("--checkpoint", help="weights, for a config")
    parser.add_argument("--batch-size", type=positive_int, default=8)
    parser.add_argument(
        "--workers", type=positive_int, default=2, help="that read files"
    )
    parser.add_argument("--device", help="by default the GPU where there is one")
    return parser.parse_args()


def main() -> None:
    """Resizes."""
    args = parse_args()
    errors: list[str] = []
    files = resize_images(
        args.model,
        args.images,
        checkpoint=args.checkpoint,
        out_dir=args.out,
        batch_size=args.batch_size,
        device=args.device,
        num_workers=args.workers,
        on_error=lambda file, error: errors.append(str(error)),
        progress=True,
    )
    print(f"{len(files)} images in {args.out}")
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    with exit_on_input_error():
        main()
