"""Predicts how people would score images, as a table and a contact sheet.

Writes scores.csv and contact_sheet.png, which shows the best images first. Files that
cannot be loaded are named at the end; the others are scored.
"""

import argparse
import sys
from pathlib import Path

from mmresizer.apis import draw_contact_sheet, predict_quality, write_scores
from mmresizer.utils import InputError, exit_on_input_error
from mmresizer.utils.cli import (
    add_inference_arguments,
    get_inference_options,
    positive_int,
)


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model", help="name of a model of the zoo, or a config, with an IQAHead"
    )
    add_inference_arguments(parser)
    parser.add_argument("--out", required=True, help="folder for table and sheet")
    parser.add_argument(
        "--columns", type=positive_int, default=6, help="of the contact sheet"
    )
    parser.add_argument(
        "--max-images",
        type=positive_int,
        default=60,
        help="of the contact sheet; if there are more, it shows evenly spaced ranks",
    )
    return parser.parse_args()


def main() -> None:
    """Scores."""
    args = parse_args()
    table, sheet = Path(args.out, "scores.csv"), Path(args.out, "contact_sheet.png")
    if sheet.resolve() in [Path(image).resolve() for image in args.images]:
        raise InputError(f"{str(sheet)!r} would be overwritten; take another folder")
    errors: list[str] = []
    qualities = predict_quality(
        args.model,
        on_error=lambda image, error: errors.append(str(error)),
        **get_inference_options(args),
    )
    if qualities:
        write_scores(qualities, table)
        draw_contact_sheet(qualities, sheet, args.columns, args.max_images)
        best = max(qualities, key=lambda quality: quality.mean)
        worst = min(qualities, key=lambda quality: quality.mean)
        print(
            f"{len(qualities)} images, mean scores from {worst.mean:.2f} "
            f"({worst.image!r}) to {best.mean:.2f} ({best.image!r})\n{table}\n{sheet}"
        )
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    if not qualities:
        raise InputError(f"none of the {len(errors)} images could be scored")
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    with exit_on_input_error():
        main()
