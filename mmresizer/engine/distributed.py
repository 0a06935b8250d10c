"""Set-up of distributed jobs, with CUDA and without."""

import gc
import os

import torch
import torch.distributed as dist
from mmengine.config import Config

from mmresizer.utils import InputError


def check_num_processes(num_processes: int | str) -> None:
    """Checks that this machine can run a number of processes, one a GPU.

    Without CUDA any number goes: the processes run on the CPU.

    Args:
        num_processes (int | str): Processes on this machine.

    Raises:
        InputError: If it is not a positive int, or exceeds the visible GPUs.
    """
    try:
        number = int(num_processes)
    except ValueError:
        number = 0
    if number < 1:
        raise InputError(
            f"the number of processes must be a positive int, but got {num_processes!r}"
        )
    if torch.cuda.is_available() and number > torch.cuda.device_count():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        raise InputError(
            f"{number} processes need {number} GPUs, but {torch.cuda.device_count()} "
            f"are visible (CUDA_VISIBLE_DEVICES: {visible})"
        )


def setup_distributed(cfg: Config) -> None:
    """Prepares a process of a distributed job for mmengine's Runner.

    With CUDA the Runner does all by itself. Without, mmengine would call CUDA all the
    same: here the process joins a gloo group, and the model wrapper is told to stay on
    the CPU.

    Args:
        cfg (Config): Config of the Runner, changed in place.

    Raises:
        InputError: If more processes run on this machine than GPUs are visible, or the
            launcher has no CPU mode.
    """
    if cfg.launcher == "none":
        return
    if torch.cuda.is_available():
        check_num_processes(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        return
    if cfg.launcher != "pytorch":
        raise InputError(
            f"--launcher {cfg.launcher} needs CUDA devices and none is visible; on "
            "CPUs use tools/dist_train.sh, tools/dist_test.sh or --launcher none"
        )
    if not dist.is_initialized():
        dist.init_process_group("gloo")
    cfg.model_wrapper_cfg = dict(
        type="MMDistributedDataParallel",
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get("find_unused_parameters", False),
    )


def leave_distributed() -> None:
    """Ends the gloo group of :func:`setup_distributed` and the threads that serve it.

    A thread of gloo drops the tensors of its last collective when it gets to it. In a
    process that is ending by then, it asks a dead interpreter for its lock and takes
    the process down (SIGABRT). The threads are joined when the last reference to the
    group goes: call this when Runner and DistributedDataParallel are out of use.
    """
    if dist.is_initialized() and dist.get_backend() == "gloo":
        dist.barrier()  # the others may still be reading what this process serves
        dist.destroy_process_group()
        gc.collect()  # the Runner and its model refer to each other
