"""Cost of modules."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from mmresizer.utils import InputError


@dataclass(frozen=True)
class Cost:
    """What a module costs for one image.

    Attributes:
        parameters (int): Number of parameters, with the frozen ones.
        macs (int): Number of multiply-accumulates, see :func:`count_macs`.
        activations (int): Number of activations, see :func:`count_activations`.
        skipped_macs (int): How many of the layers' multiply-accumulates inference does
            not need; ``macs`` is without them. See
            :meth:`mmresizer.models.BaseResizer.count_skipped_macs`. Defaults to 0.
    """

    parameters: int
    macs: int
    activations: int
    skipped_macs: int = 0

    @property
    def paper_macs(self) -> int:
        """Multiply-accumulates of all layers, which the paper counts."""
        return self.macs + self.skipped_macs

    def __sub__(self, part: "Cost") -> "Cost":
        """Returns what is left without a part."""
        return Cost(
            self.parameters - part.parameters,
            self.macs - part.macs,
            self.activations - part.activations,
            self.skipped_macs - part.skipped_macs,
        )


def count_costs(
    module: nn.Module,
    input_size: tuple[int, int],
    in_channels: int = 3,
    parts: Sequence[str] = ("",),
) -> list[Cost]:
    """Counts what a module's forward pass costs for one image.

    On torch's meta device this takes no memory and no arithmetic.

    Args:
        module (nn.Module): Takes images of shape (N, C, H, W).
        input_size (tuple[int, int]): Height and width in pixels.
        in_channels (int): Defaults to 3.
        parts (Sequence[str]): Names of submodules, as in ``named_modules()``; "" is the
            module itself. No submodule may be registered twice. Defaults to the module.

    Returns:
        list[Cost]: The cost of each part.

    Raises:
        InputError: If the module does not take an image of this size.
    """
    training = module.training
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    macs = FlopCounterMode(display=False)
    activations = FlopCounterMode(
        display=False, custom_mapping=dict.fromkeys(flop_registry, _count_elements)
    )
    try:
        with (
            torch.no_grad(),
            _attention_by_products(),
            _ShapesOnCPU(),
            macs,
            activations,
        ):
            module.eval()(torch.zeros(1, in_channels, *input_size, device=device))
    except Exception as e:  # layers refuse an input in any way
        reason = next(iter(str(e).strip().splitlines()), "")
        if not isinstance(e, InputError):
            reason = f"{type(e).__name__}: {reason}"
        raise InputError(
            f"{type(module).__name__} does not take an image of {input_size[0]}x"
            f"{input_size[1]} pixels (height x width) ({reason})"
        ) from e
    finally:
        module.train(training)
    costs = []
    for part in parts:
        name = f"{type(module).__name__}.{part}" if part else "Global"
        flops, elements = (
            sum(counter.get_flop_counts().get(name, {}).values())
            for counter in (macs, activations)
        )
        parameters = sum(p.numel() for p in module.get_submodule(part).parameters())
        costs.append(Cost(parameters, flops // 2, elements))
    return costs


def _count_elements(*args, out_shape: torch.Size, **kwargs) -> int:
    return math.prod(out_shape)


class _ShapesOnCPU(TorchFunctionMode):
    """Keeps tensors of whole numbers on the CPU while a model runs on the meta device.

    Models that attend to maps of several sizes hold these sizes in tensors, and look at
    their values.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if any(isinstance(arg, Tensor) and arg.is_meta for arg in args):
            args = [
                arg.to("meta") if isinstance(arg, Tensor) and arg.ndim else arg
                for arg in args
            ]
        result = func(*args, **(kwargs or {}))
        moved = func is Tensor.to and result.is_meta and not args[0].is_meta
        if moved and not result.is_floating_point():
            return args[0].to(result.dtype)
        return result


@contextmanager
def _attention_by_products() -> Iterator[None]:
    """Makes torch compute attention with matrix products.

    torch does not count its fused kernels.
    """
    is_fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(is_fast)


def count_macs(
    module: nn.Module, input_size: tuple[int, int], in_channels: int = 3
) -> int:
    """Counts the multiply-accumulates of a module's forward pass for one image.

    Counted are those of convolutions and matrix products. The rest (norms, activations,
    interpolation) is below 2 % in these models. OpenMMLab's tables call
    multiply-accumulates FLOPs; the paper counts two FLOPs for each.

    Args:
        module (nn.Module): Takes images of shape (N, C, H, W).
        input_size (tuple[int, int]): Height and width in pixels.
        in_channels (int): Defaults to 3.

    Returns:
        int: Number of multiply-accumulates.

    Raises:
        InputError: If the module does not take an image of this size.
    """
    return count_costs(module, input_size, in_channels)[0].macs


def count_activations(
    module: nn.Module, input_size: tuple[int, int], in_channels: int = 3
) -> int:
    """Counts the activations of a module's forward pass for one image.

    Activations are the elements of the outputs of convolutions, as in `Designing
    Network Design Spaces <https://arxiv.org/abs/2003.13678>`_, and of matrix products,
    which are the convolutions of transformers.

    Args:
        module (nn.Module): Takes images of shape (N, C, H, W).
        input_size (tuple[int, int]): Height and width in pixels.
        in_channels (int): Defaults to 3.

    Returns:
        int: Number of activations.

    Raises:
        InputError: If the module does not take an image of this size.
    """
    return count_costs(module, input_size, in_channels)[0].activations


def count_parameters(module: nn.Module) -> int:
    """Counts the trainable parameters of a module."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
