"""Prints parameters and multiply-accumulates of a config's resizer and of its model."""

import argparse

from mmresizer.apis.checks import build_model
from mmresizer.models.utils import get_resizer
from mmresizer.utils import InputError, exit_on_input_error
from mmresizer.utils.cli import add_config_options, load_config
from mmresizer.utils.flops import count_macs, count_parameters


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="config file")
    parser.add_argument(
        "--shape",
        type=int,
        nargs="+",
        default=[224],
        metavar=("HEIGHT", "WIDTH"),
        help="size of the input in pixels; one number for a square; 224 by default",
    )
    add_config_options(parser)
    args = parser.parse_args()
    if len(args.shape) > 2 or min(args.shape) < 1:
        raise InputError(f"--shape must be one or two positive ints, got {args.shape}")
    size = (args.shape[0], args.shape[-1])
    model = build_model(load_config(args.config, args.cfg_options))
    resizer = get_resizer(model)
    print(f"| input {size[0]}x{size[1]} | parameters | GMAC |\n| --- | --- | --- |")
    for name, module in (("resizer", resizer), ("in all", model)):
        macs = count_macs(module, size, getattr(resizer, "in_channels", 3))
        print(f"| {name} | {count_parameters(module):,} | {macs / 1e9:.4f} |")


if __name__ == "__main__":
    with exit_on_input_error():
        main()
