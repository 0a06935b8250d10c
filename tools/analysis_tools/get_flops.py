"""Prints what a config's model costs for one image, and what its resizer adds."""

import argparse
from collections.abc import Iterable

from mmresizer.analysis.costs import (
    DEFAULT_SIZE,
    ModelCosts,
    build_model_to_count,
    input_size,
    macs_without_resizer,
    model_costs,
)
from mmresizer.config.loading import load_config
from mmresizer.models.utils import get_resizer
from mmresizer.utils import InputError, exit_on_input_error
from mmresizer.utils.cli import add_config_options, image_size, positive_int
from mmresizer.utils.tables import make_table, show_size

from torch import nn

FACTORS = (1, 1.5, 2, 3, 4)
INPUTS_HEADER = (
    "input",
    "backbone sees",
    "GMAC of resizer",
    "GMAC in all",
    "resizer adds (%)",
    "GMAC without resizer",
)
NOTES = """\
Sizes are height x width, in pixels. GMAC: 10^9 multiply-accumulates of convolutions and
matrix products that inference computes. At integer factors of 3 and more, without
antialiasing, that is the stem where interpolation reads it. As in the paper: with the
whole stem, which exported models compute. Activations: elements of the outputs of all
layers. What the resizer adds is a percentage of all the rest. Without
resizer: the backbone sees the input itself. A dash: the model does not take this
input."""

Size = tuple[int, int]


def _giga(count: int) -> str:
    return f"{count / 1e9:.4f}"


def _show_costs(size: Size, costs: ModelCosts) -> str:
    """Returns the table of the parts of a model."""
    parts = {"resizer": costs.resizer}
    if costs.backbone is None:
        parts |= {"wrapped model": costs.rest}
    else:
        parts |= {"backbone": costs.backbone}
        if any(vars(costs.rest).values()):
            parts |= {"neck and head": costs.rest}
    parts |= {"total": costs.total}
    return make_table(
        [
            f"input {show_size(size)}",
            "parameters",
            "GMAC",
            "GMAC as in the paper",
            "activations (M)",
        ],
        [
            [
                name,
                f"{c.parameters:,}",
                _giga(c.macs),
                _giga(c.paper_macs),
                f"{c.activations / 1e6:.4f}",
            ]
            for name, c in parts.items()
        ],
    )


def _show_inputs(model: nn.Module, sizes: Iterable[Size], may_refuse: bool) -> str:
    """Returns the table of what the resizer adds at several sizes of the input."""
    rows = []
    for size in sizes:
        try:
            costs = model_costs(model, size)
        except InputError:
            if not may_refuse:
                raise
            cells = ["-"] * 4
        else:
            added, total = costs.resizer.macs, costs.total.macs
            rest = total - added
            percent = f"{100 * added / rest:.1f}" if rest else "-"
            seen = get_resizer(model).get_output_size(size)
            cells = [show_size(seen), _giga(added), _giga(total), percent]
        try:
            cells.append(_giga(macs_without_resizer(model, size)))
        except InputError:
            cells.append("-")
        rows.append([show_size(size), *cells])
    return make_table(INPUTS_HEADER, rows)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="config file")
    parser.add_argument(
        "--shape",
        type=positive_int,
        nargs="+",
        metavar=("HEIGHT", "WIDTH"),
        help="size of the input in pixels; one number for a square; by default what "
        "the test pipeline delivers or, if that depends on the images, 224",
    )
    factors = ", ".join(map(str, FACTORS))
    parser.add_argument(
        "--inputs",
        type=image_size,
        nargs="+",
        metavar="SIZE",
        help="sizes of the input in the second table, such as 224 or, height x width, "
        f"240x320; by default {factors} times what the backbone sees in the first",
    )
    add_config_options(parser)
    args = parser.parse_args()
    if args.shape and len(args.shape) > 2:
        raise InputError(f"--shape must be one or two positive ints, got {args.shape}")
    cfg = load_config(args.config, args.cfg_options)
    if args.shape:
        shape = args.shape[0], args.shape[-1]
    else:
        shape = input_size(cfg) or DEFAULT_SIZE
    model = build_model_to_count(cfg, shape)
    try:
        parts = _show_costs(shape, model_costs(model, shape))
        seen = get_resizer(model).get_output_size(shape)
        sizes = [(round(f * seen[0]), round(f * seen[1])) for f in FACTORS]
        inputs = _show_inputs(model, args.inputs or sizes, may_refuse=not args.inputs)
    except InputError as e:
        raise InputError(f"{args.config}: {e}") from e
    print(parts, inputs, NOTES, sep="\n\n")


if __name__ == "__main__":
    with exit_on_input_error():
        main()
