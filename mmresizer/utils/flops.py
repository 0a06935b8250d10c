"""Cost of modules."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_macs(
    module: nn.Module, input_size: tuple[int, int], in_channels: int = 3
) -> int:
    """Counts the multiply-accumulates of a module's forward pass for one image.

    Those of convolutions and matrix products; the rest (norms, activations,
    interpolation) is below 2 % in these models. OpenMMLab's tables call them FLOPs; the
    paper counts two FLOPs for each.

    Args:
        module (nn.Module): Takes images of shape (N, C, H, W).
        input_size (tuple[int, int]): Height and width in pixels.
        in_channels (int): Defaults to 3.

    Returns:
        int: Number of multiply-accumulates.
    """
    training = module.training
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    images = torch.zeros(1, in_channels, *input_size, device=device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.eval()(images)
    module.train(training)
    return counter.get_total_flops() // 2


def count_parameters(module: nn.Module) -> int:
    """Counts the trainable parameters of a module."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
