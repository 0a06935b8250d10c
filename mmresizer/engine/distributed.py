"""Setup of distributed jobs, with CUDA and without."""

import gc
import os

import torch
import torch.distributed as dist
from mmengine.config import Config

from mmresizer.utils import InputError


def check_num_processes(num_processes: int | str) -> None:
    """Checks that this machine can run a number of processes, one per GPU.

    Without CUDA any number is accepted: the processes run on the CPU.

    Args:
        num_processes (int | str): Processes on this machine.

    Raises:
        InputError: If the number is not a positive int, or exceeds that of the visible
            GPUs.
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

    With CUDA the Runner does everything. Without CUDA mmengine would still call it, so
    the process joins a group of gloo here, and the model wrapper is set to stay on the
    CPU.

    Args:
        cfg (Config): Config of the Runner, which is changed.

    Raises:
        InputError: If this machine runs more processes than it has visible GPUs, or the
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
    """Ends the gloo group of :func:`setup_distributed`, with its threads.

    A thread of gloo frees the tensors of its last collective some time later. If the
    process is ending by then, the thread asks a dead interpreter for its lock and
    aborts the process (SIGABRT). The threads end with the last reference to the group:
    call this when Runner and DistributedDataParallel are no longer in use.
    """
    if dist.is_initialized() and dist.get_backend() == "gloo":
        dist.barrier()  # other processes may still read from this one
        dist.destroy_process_group()
        gc.collect()  # the Runner and its model refer to each other
