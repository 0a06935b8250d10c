"""Arms that cost as much as another."""

import math
from bisect import bisect_left, bisect_right
from copy import deepcopy
from dataclasses import replace
from functools import cache

from mmresizer.analysis.costs import model_costs
from mmresizer.utils import InputError

from .arm import Arm


def match_flops(arm: Arm, macs: int) -> Arm:
    """Enlarges an arm's output until its model costs the same as another.

    Args:
        arm (Arm): With a square output; its resizer is to cost little.
        macs (int): Multiply-accumulates to come close to.

    Returns:
        Arm: That of all output sizes which the backbone takes, up to the size of the
        input, whose cost is the nearest.

    Raises:
        InputError: If it costs more already, or no larger size fits.
    """
    if arm.macs > macs:
        raise InputError(
            f"arm {arm.name!r} costs {arm.macs / 1e9:.4f} GMAC already, more than the "
            f"{macs / 1e9:.4f} that it is to match"
        )
    if arm.output_size[0] != arm.output_size[1]:
        raise InputError(
            f"arm {arm.name!r} must have a square output for match_flops, but it has "
            f"{arm.output_size[0]}x{arm.output_size[1]}"
        )
    sizes = range(arm.output_size[0] + 1, min(arm.input_size) + 1)

    @cache
    def resized(size: int) -> Arm | None:
        cfg = deepcopy(arm.cfg)
        cfg.model.resizer.pop("scale_factor", None)
        cfg.model.resizer.output_size = size
        try:
            cost = model_costs(cfg, arm.input_size).total.macs
        except InputError:  # a size that the backbone does not take
            return None
        return replace(arm, cfg=cfg, output_size=(size, size), macs=cost)

    def next_cost(size: int) -> float:
        larger = map(resized, range(size, sizes.stop))
        return next((each.macs for each in larger if each), math.inf)

    # Costs grow with the size: the two on either side of `macs` are found by bisection.
    above = bisect_right(sizes, float(macs), key=next_cost)
    costs = [next_cost(size) for size in sizes[max(above - 1, 0) : above + 1]]
    nearest = min(costs, key=lambda cost: abs(cost - macs), default=math.inf)
    if abs(nearest - macs) >= abs(arm.macs - macs):
        raise InputError(
            f"arm {arm.name!r} has no larger output size, up to its input of "
            f"{arm.input_size[0]}x{arm.input_size[1]}, that comes closer to "
            f"{macs / 1e9:.4f} GMAC"
        )
    first = bisect_left(sizes, nearest, key=next_cost)
    return next(each for each in map(resized, sizes[first:]) if each)
