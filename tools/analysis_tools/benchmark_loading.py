"""Measures whether a config's data pipeline keeps up with its training."""

import argparse

from mmresizer.analysis.loading_benchmark import benchmark_loading
from mmresizer.config.loading import load_config
from mmresizer.utils import exit_on_input_error
from mmresizer.utils.cli import add_config_options, positive_int


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="config file")
    parser.add_argument(
        "--num-images", type=positive_int, default=200, help="200 by default"
    )
    parser.add_argument(
        "--enlarge",
        type=positive_int,
        metavar="SIZE",
        help="load JPEG copies whose shorter side has SIZE pixels, as of a dataset of "
        "large photographs",
    )
    add_config_options(parser)
    args = parser.parse_args()
    cfg = load_config(args.config, args.cfg_options)
    print(benchmark_loading(cfg, args.num_images, args.enlarge))


if __name__ == "__main__":
    with exit_on_input_error():
        main()
