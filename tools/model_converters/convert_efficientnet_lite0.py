"""Converts ImageNet weights of EfficientNet-lite0 from an installed package."""

import argparse

from mmresizer.converters.efficientnet_lite0 import convert_efficientnet_lite0
from mmresizer.utils import exit_on_input_error


def main() -> None:
    """Prints where the checkpoint is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out",
        default="data/weights/efficientnet-lite0.pth",
        metavar="FILE",
        help="the checkpoint; by default %(default)s, where the configs look",
    )
    print(convert_efficientnet_lite0(parser.parse_args().out))


if __name__ == "__main__":
    with exit_on_input_error():
        main()
