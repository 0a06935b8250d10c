"""Threads that each work on images of their own.

Layers that share the cores meet after each one, and on a busy machine they wait for
the thread whose core is taken. Images have nothing to wait for.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

_lock = threading.Lock()
_worker = threading.local()
_pool: ThreadPoolExecutor | None = None
_made_for: tuple[int, int] | None = None  # process and number of threads


def map_images(
    function: Callable[[Tensor], Tensor], x: Tensor, at_a_time: int
) -> Tensor:
    """Calls a function with a few images at a time. Gradients are not recorded.

    Args:
        function (Callable): Takes images of shape (N, C, H, W); returns N of anything.
        x (Tensor): The images.
        at_a_time (int): How many at a time have maps that stay in the cache of a core.

    Returns:
        Tensor: What the function returned for all images.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        return torch.cat([function(part) for part in x.split(at_a_time)])
    if len(x) < threads:  # the threads share an image, and two have a map in the cache
        few = x.split(max(1, threads // 2))
        return torch.cat([function(part) for part in few])
    inference = torch.is_inference_mode_enabled()

    def work(part: Tensor) -> Tensor:
        with torch.inference_mode(inference), torch.no_grad():
            return function(part)

    return torch.cat([*_get_pool(threads).map(work, x.split(at_a_time))])


def count_cores() -> int:
    """Returns how many cores work on what this thread calls."""
    return 1 if hasattr(_worker, "is_one") else torch.get_num_threads()


def _get_pool(threads: int) -> ThreadPoolExecutor:
    """Returns the pool of this process; a fork has none of its parent's threads."""
    global _pool, _made_for
    with _lock:
        wanted = (os.getpid(), threads)
        if _pool is None or _made_for != wanted:
            started = threading.Barrier(threads + 1)

            def start() -> None:
                torch.get_num_threads()  # a thread's first call sets OpenMP's number
                torch.set_num_threads(1)  # OpenMP's, which is each thread's own
                _worker.is_one = True
                started.wait()

            _pool = ThreadPoolExecutor(threads, "mmresizer", start)
            for _ in range(threads):
                _pool.submit(int)
            started.wait()
            torch.set_num_threads(threads)  # torch's, which threads share
            _made_for = wanted
        return _pool
