"""Threads that each work on a part of their own.

Layers that share the cores meet after each one, and on a busy machine they wait for
the thread whose core is taken. Images, and tiles of them, have nothing to wait for.
"""

import math
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .torch_private import (
    can_use_one_core,
    has_saved_tensor_hooks,
    keeps_graph,
    use_one_core,
)

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")

_lock = threading.Lock()
_worker = threading.local()
_pools: dict[int, ThreadPoolExecutor] = {}  # by the number of threads


def map_parts(
    function: Callable[[Any], Any],
    parts: Sequence[Any],
    device: torch.device,
    shares_one: bool = True,
) -> list[Any]:
    """Calls a function with each part, on a CPU each time on one core.

    The modes of the caller hold, those for gradients and inference; its autocast does
    not.

    Args:
        function (Callable): Takes a part.
        parts (Sequence): Do not depend on each other.
        device (torch.device): What the function works on.
        shares_one (bool): Whether all cores work on a single part. Defaults to True.

    Returns:
        list: What the function returned, in the order of the parts.
    """
    pool = None
    if device.type == "cpu" and not (shares_one and len(parts) == 1):
        pool = _get_pool(count_threads())
    inference, grad = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def work(part: Any) -> Any:
        with (
            torch.inference_mode(inference),
            torch.set_grad_enabled(grad),
            torch.autocast(device.type, enabled=False),
        ):
            return function(part)

    def start(part: Any) -> Future | None:
        try:
            return pool.submit(work, part) if pool else None
        except RuntimeError:  # no thread can start, such as at exit
            return None

    started = [start(part) for part in parts]
    pairs = zip(started, parts, strict=True)
    return [future.result() if future else work(part) for future, part in pairs]


def map_images(
    function: Callable[..., Tensor],
    at_a_time: int,
    with_cp: bool,
    x: Tensor,
    *weights: Tensor | None,
) -> Tensor:
    """Calls a function with a few images at a time, on a CPU each time on one core.

    Fewer images than threads are given to all cores at once, except where a core's
    cache holds several of them: cores that share so little wait longer than they work.
    The result is differentiable once; on a GPU without ``with_cp`` as often as torch
    can, as the function is called with all images.

    Args:
        function (Callable): Takes images of shape (N, C, H, W) and the weights; returns
            N of anything.
        at_a_time (int): How many images at a time have maps that stay in the cache of a
            core.
        with_cp (bool): Whether the backward pass calls the function again, so that its
            activations need not be kept.
        x (Tensor): The images.
        weights (Tensor, optional): All tensors that gradients are wanted of, beside the
            images.

    Returns:
        Tensor: What the function returned for all images.
    """
    if x.device.type != "cpu" and not with_cp:
        return function(x, *weights)
    threads, is_large = count_threads(), at_a_time == 1
    if x.device.type != "cpu" or (len(x) < threads and is_large):
        number = len(x)
    else:
        rounds = math.ceil(len(x) / (at_a_time * threads))
        number = math.ceil(len(x) / (rounds * threads))
    run = partial(map_parts, device=x.device, shares_one=is_large)
    if torch.is_grad_enabled():
        recompute = with_cp or has_saved_tensor_hooks()
        return _MapImages.apply(function, number, run, recompute, x, *weights)
    return torch.cat(run(partial(_call, function, weights), x.split(number)))


class _MapImages(torch.autograd.Function):
    """Records a graph of its own for each part."""

    @staticmethod
    def forward(ctx, function, number, run_parts, recompute, *tensors):
        ctx.save_for_backward(*tensors)
        ctx.function, ctx.number, ctx.run_parts = function, number, run_parts
        ctx.graphs = None
        if recompute:
            with torch.no_grad():
                x, *weights = tensors
                run = partial(_call, function, weights)
                return torch.cat(run_parts(run, x.split(number)))
        ctx.graphs = _record(ctx, *tensors)
        return torch.cat([y.detach() for _, y in ctx.graphs])

    @staticmethod
    @once_differentiable
    def backward(ctx, d_y):
        graphs, keep = ctx.graphs, ctx.graphs is not None and keeps_graph()
        if graphs is None:
            graphs = _record(ctx, *ctx.saved_tensors)

        def run(part):
            (inputs, y), d_part = part
            return torch.autograd.grad(y, inputs, d_part, retain_graph=keep)

        parts = [*zip(graphs, d_y.split(ctx.number), strict=True)]
        columns = [*zip(*ctx.run_parts(run, parts), strict=True)]
        if not keep:
            ctx.graphs = None
        needs_x, *needed = ctx.needs_input_grad[4:]
        d_x = torch.cat(columns.pop(0)) if needs_x else None
        return None, None, None, None, d_x, *sum_parts(columns, needed)


def _record(ctx: Any, x: Tensor, *weights: Any) -> list[tuple[list[Tensor], Tensor]]:
    """Calls the function; returns for each part the inputs and the output."""
    needs_x, *needed = ctx.needs_input_grad[4:]
    leaves, wanted = make_leaves(weights, needed)

    @torch.enable_grad()
    def run(part: Tensor) -> tuple[list[Tensor], Tensor]:
        part = part.detach().requires_grad_(needs_x)
        y = _call(ctx.function, leaves, part)
        return ([part, *wanted] if needs_x else wanted), y

    return ctx.run_parts(run, x.split(ctx.number))


def make_leaves(
    weights: Sequence[Any], needed: Sequence[bool]
) -> tuple[list[Any], list[Tensor]]:
    """Returns the weights for graphs of parts, and those that need gradients."""
    leaves = [
        None if w is None else w.detach().requires_grad_(is_needed)
        for w, is_needed in zip(weights, needed, strict=True)
    ]
    return leaves, [leaf for leaf in leaves if leaf is not None and leaf.requires_grad]


def sum_parts(
    columns: Sequence[Sequence[Tensor]], needed: Sequence[bool]
) -> list[Tensor | None]:
    """Returns the gradients of all weights: sums over the parts, in their order.

    Args:
        columns (Sequence[Sequence[Tensor]]): For each weight that needs a gradient that
            of each part.
        needed (Sequence[bool]): Whether each weight needs one.
    """
    sums = iter([torch.stack([*column]).sum(0) for column in columns])
    return [next(sums) if is_needed else None for is_needed in needed]


def _call(function: Callable, weights: Sequence[Any], part: Tensor) -> Tensor:
    return function(part, *weights)


def count_threads() -> int:
    """Returns how many threads may work on the parts of what this thread calls."""
    if hasattr(_worker, "is_one") or not can_use_one_core():
        return 1
    return min(torch.get_num_threads(), _read_quota())


@cache
def _read_quota() -> int:
    """Returns how many cores a container gives to the process, rounded up."""
    quotas = [os.cpu_count() or 1]
    try:
        lines = _OWN_CGROUPS.read_text().splitlines()
    except OSError:  # control groups are Linux's
        lines = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:  # version 2
            folder, names = _CGROUPS, ["cpu.max"]
        elif "cpu" in controllers.split(","):
            folder, names = _CGROUPS / "cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        else:
            continue
        for place in (folder, folder / group.lstrip("/")):
            try:
                texts = [(place / name).read_text() for name in names]
            except OSError:  # a container may see its own group alone
                continue
            quota, period = " ".join(texts).split()
            if quota not in ("max", "-1"):
                quotas.append(math.ceil(int(quota) / int(period)))
    return min(quotas)


def _get_pool(threads: int) -> ThreadPoolExecutor | None:
    """Returns the pool of this process with as many threads; None for one thread."""
    if threads == 1:
        return None
    with _lock:
        if threads not in _pools:
            _pools[threads] = ThreadPoolExecutor(threads, "mmresizer", _use_one_core)
        return _pools[threads]


def _use_one_core() -> None:
    use_one_core()
    _worker.is_one = True


def _forget_pools() -> None:
    """A fork has none of the threads of its parent, and may find the lock closed."""
    global _lock
    _lock = threading.Lock()
    _pools.clear()


os.register_at_fork(after_in_child=_forget_pools)
