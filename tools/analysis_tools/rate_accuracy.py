"""Measures accuracy against the bytes of what is sent: image, or resizer's output."""

import argparse

from mmresizer.apis.rates import measure_rates
from mmresizer.config.loading import load_named_config
from mmresizer.utils import InputError, exit_on_input_error

from mmresizer_client.codecs import ACCEPTED, Codec, parse_codec


def codec(name: str) -> Codec:
    """Parses a codec."""
    try:
        return parse_codec(name)
    except InputError as e:
        raise argparse.ArgumentTypeError(str(e)) from None


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__} A codec is {ACCEPTED}. Of the first name the images "
        "are sent, too."
    )
    parser.add_argument(
        "--model",
        nargs=3,
        action="append",
        required=True,
        metavar=("NAME", "CONFIG", "CHECKPOINT"),
        help="a trained model; learned resizers with an output_range, as "
        "tools/deploy/calibrate.py writes it. May be repeated; models of one name, "
        "such as seeds, are averaged",
    )
    parser.add_argument("--out", required=True, help="folder for table and plot")
    planes = ["webp+planes", "webp-90+planes", "webp-75+planes", "webp-50+planes"]
    defaults = ["raw", "png", *planes, "webp-90", "webp-75", "jpeg-90"]
    parser.add_argument(
        "--codecs",
        nargs="+",
        type=codec,
        default=[parse_codec(name) for name in defaults],
        metavar="CODEC",
        help=f"for outputs (default: {' '.join(defaults)})",
    )
    images = ["jpeg-95", "jpeg-75", "jpeg-50", "jpeg-25", "webp-75", "webp-25"]
    parser.add_argument(
        "--image-codecs",
        nargs="*",
        type=codec,
        default=[parse_codec(name) for name in images],
        metavar="CODEC",
        help=f"for images (default: {' '.join(images)})",
    )
    return parser.parse_args()


def main() -> None:
    """Measures, and prints the table."""
    args = parse_args()
    models = []
    for name, path, checkpoint in args.model:
        cfg = load_named_config(path)
        cfg.work_dir = args.out
        cfg.setdefault("randomness", dict(seed=None))
        models.append((name, cfg, checkpoint))
    measure_rates(models, args.codecs, args.image_codecs, args.out)
    with open(f"{args.out}/rates.md") as file:
        print(file.read())


if __name__ == "__main__":
    with exit_on_input_error():
        main()
