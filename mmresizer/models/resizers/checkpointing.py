"""Activation checkpointing: recomputing activations in the backward pass."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
import torch.fx
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def maybe_checkpoint(
    with_cp: bool, function: Callable[[Tensor], Tensor], x: Tensor, *parts: nn.Module
) -> Tensor:
    """Calls a function and, with ``with_cp``, calls it again in the backward pass.

    Args:
        with_cp (bool): Whether to recompute.
        function (Callable): Uses ``parts``, and no other batch norms.
        x (Tensor): Argument of the function.
        parts (nn.Module): Modules whose batch norms update their statistics only once.
    """
    # Not `x.requires_grad`, as usual: x may be the image itself. In a symbolic trace it
    # stands for any tensor.
    if not with_cp or not torch.is_grad_enabled() or isinstance(x, torch.fx.Proxy):
        return function(x)
    if torch.compiler.is_compiling():  # the compiler updates the statistics once
        return checkpoint(function, x, use_reentrant=False)
    return checkpoint(
        function,
        x,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _frozen_norm_stats(*parts)),
    )


@contextmanager
def _frozen_norm_stats(*parts: nn.Module) -> Iterator[None]:
    """Prevents that a recomputation updates the running statistics again."""
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
