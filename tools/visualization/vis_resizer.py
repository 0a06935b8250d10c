"""Draws what the resizer of a checkpoint does to images.

Writes a PNG file for each image. It shows the input, the interpolated and the learned
image, their difference, and the log-spectra of both outputs.
"""

import argparse

from mmresizer.apis import visualize_resizer
from mmresizer.config.loading import load_config
from mmresizer.utils import exit_on_input_error
from mmresizer.utils.cli import add_config_options


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", help="checkpoint, a path or a URL")
    parser.add_argument("images", nargs="+", help="image files")
    parser.add_argument("--out", required=True, help="folder for the pictures")
    add_config_options(parser)
    return parser.parse_args()


def main() -> None:
    """Draws."""
    args = parse_args()
    cfg = load_config(args.config, args.cfg_options)
    for path in visualize_resizer(cfg, args.checkpoint, args.images, args.out):
        print(path)


if __name__ == "__main__":
    with exit_on_input_error():
        main()
