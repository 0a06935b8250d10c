"""Makes an 8-bit resizer of a trained one: its output can be sent as bytes."""

import argparse
from copy import deepcopy
from pathlib import Path

from mmresizer.apis import evaluate_model
from mmresizer.apis.testing import take_numbers
from mmresizer.config.loading import load_config, load_run_config
from mmresizer.deploy import calibrate_output_range
from mmresizer.utils import InputError, exit_on_input_error
from mmresizer.utils.cli import add_run_arguments, positive_int
from mmresizer.utils.files import make_folder, write_atomically, writing


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=f"{__doc__} Writes a config with the range of its 256 levels, "
        "found on training images. The weights stay as they are. Prints the metrics of "
        "the test set before and after."
    )
    parser.add_argument("config", help="config of a trained model")
    parser.add_argument("checkpoint", help="its weights")
    parser.add_argument("--out", required=True, help="config to write")
    parser.add_argument(
        "--images",
        type=positive_int,
        default=500,
        help="number of training images (default: %(default)s)",
    )
    add_run_arguments(parser, distributed=False)
    return parser.parse_args()


def main() -> None:
    """Calibrates, writes and tests."""
    args = parse_args()
    out = Path(args.out)
    if out.suffix != ".py":
        raise InputError(f"--out must be a file that ends in .py, got {args.out!r}")
    if out.exists():
        raise InputError(f"--out must be a new file, but {args.out!r} is there already")
    # Without what this run sets, such as the folder for its logs.
    written = load_config(args.config, args.cfg_options)
    if not (written.get("model") or {}).get("resizer"):
        raise InputError(f"the config {args.config!r} has no model.resizer")
    make_folder(out.parent)
    low, high = calibrate_output_range(written, args.checkpoint, args.images)
    written.model.resizer.output_range = [low, high]
    with writing(out.parent):
        write_atomically(out, written.pretty_text)
    print(f"{out}: model.resizer.output_range = {[low, high]}")
    cfg = load_run_config(args)
    before = take_numbers(evaluate_model(deepcopy(cfg), args.checkpoint))
    cfg.model.resizer.output_range = [low, high]
    after = take_numbers(evaluate_model(cfg, args.checkpoint))
    for name, value in before.items():
        print(f"{name}: {value:.4g} before, {after[name]:.4g} in 8 bits")


if __name__ == "__main__":
    with exit_on_input_error():
        main()
