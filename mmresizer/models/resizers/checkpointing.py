"""Recomputation of activations in the backward pass instead of keeping them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def maybe_checkpoint(
    with_cp: bool, function: Callable[[Tensor], Tensor], x: Tensor, *parts: nn.Module
) -> Tensor:
    """Calls a function, and where ``with_cp`` holds again in the backward pass.

    Args:
        with_cp (bool): Whether to recompute.
        function (Callable): Uses ``parts``, and no other batch norms.
        x (Tensor): Its argument.
        parts (nn.Module): The statistics of their batch norms are updated once.
    """
    # The usual `x.requires_grad` would never hold here: x may be the image itself.
    if not with_cp or not torch.is_grad_enabled():
        return function(x)
    if torch.compiler.is_compiling():  # it keeps the statistics out by itself
        return checkpoint(function, x, use_reentrant=False)
    return checkpoint(
        function,
        x,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _frozen_norm_stats(*parts)),
    )


@contextmanager
def _frozen_norm_stats(*parts: nn.Module) -> Iterator[None]:
    """Keeps a recomputation from updating the running statistics a second time."""
    norms = [
        m
        for part in parts
        for m in part.modules()
        if isinstance(m, _BatchNorm) and m.training and m.track_running_stats
    ]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked -= 1
