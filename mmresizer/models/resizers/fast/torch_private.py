"""What torch tells only through private functions, which another version may lack."""

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad


def is_watched(x: Tensor, *modules: nn.Module) -> bool:
    """Returns whether somebody waits for what the layers of modules make of ``x``.

    Compilers, exporters, FLOP counters and transforms of :mod:`torch.func` fuse, write
    down, count or transform the layers; hooks get their outputs. Where torch does not
    tell, the answer is yes.
    """
    if (
        type(x) is not Tensor
        or torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch.onnx.is_in_onnx_export()
    ):
        return True
    try:
        return bool(
            torch.utils._python_dispatch.is_in_torch_dispatch_mode()
            or torch._C._are_functorch_transforms_active()
            or forward_ad._current_level >= 0
            or torch.nn.modules.module._has_any_global_hook()
            or any(map(has_hooks, modules))
        )
    except AttributeError:
        return True


def is_exporting() -> bool:
    """Returns whether :mod:`torch.export` traces.

    Inside ``torch.compile`` the public function always says yes. Where torch does not
    tell, the answer is yes.
    """
    return getattr(torch.compiler, "_is_exporting_flag", True)


def has_hooks(module: nn.Module) -> bool:
    """Returns whether a layer of a module has hooks, or a method that is wrapped."""
    return any(
        "forward" in vars(layer)  # as others wrap it
        or layer._forward_hooks
        or layer._forward_pre_hooks
        or layer._backward_hooks
        or layer._backward_pre_hooks
        for layer in module.modules()
    )


def keeps_graph() -> bool:
    """Returns whether the backward pass that runs may be run again.

    Where torch does not tell, the answer is yes.
    """
    try:
        return torch._C._autograd._get_current_graph_task_keep_graph()
    except (AttributeError, RuntimeError):
        return True


def has_saved_tensor_hooks() -> bool:
    """Returns whether somebody keeps what is saved for backward passes elsewhere.

    That is activation checkpointing, for example. Where torch does not tell, the answer
    is yes.
    """
    try:
        return bool(torch._C._autograd._top_saved_tensors_default_hooks(True))
    except (AttributeError, RuntimeError):
        return True


@cache
def _openmp() -> Any:
    """Returns the OpenMP library that torch has loaded, or None."""
    try:
        library = ctypes.CDLL(None)
        library.omp_set_num_threads  # noqa: B018 (it is looked up)
    except (AttributeError, OSError, TypeError):
        return None
    return library


def can_use_one_core() -> bool:
    """Returns whether :func:`use_one_core` works."""
    return _openmp() is not None


def use_one_core() -> None:
    """Makes torch work on one core in this thread, and leaves all others as they are.

    `torch.set_num_threads` would change what threads get that begin later.
    """
    torch.get_num_threads()  # a thread's first call sets OpenMP's number
    _openmp().omp_set_num_threads(1)
