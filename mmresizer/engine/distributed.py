"""Setup of distributed jobs, with CUDA and without."""

import ctypes
import gc
import os
import signal
import subprocess
import sys

import torch
import torch.distributed as dist
from mmengine.config import Config

from mmresizer.utils import InputError
from mmresizer.utils.errors import describe_error


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


def is_restarting() -> bool:
    """Returns whether torchrun starts this job again when one of its processes dies.

    The processes are not told whether they are the first: if machines come and go, the
    number of restarts stays 0.
    """
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0


# Where ports of jobs begin, and how many there are: below those that Linux hands out.
_FIRST_PORT, _NUM_PORTS = 20000, 10000


def setup_distributed(cfg: Config) -> None:
    """Prepares a process of a distributed job for mmengine's Runner.

    With CUDA the Runner does everything. Without CUDA mmengine would still call it, so
    the process joins a group of gloo here, and the model wrapper is set to stay on the
    CPU.

    Args:
        cfg (Config): Config of the Runner, which is changed.

    Raises:
        InputError: If this machine runs more processes than it has visible GPUs, Slurm
            has not started the process, or the launcher has no CPU mode.
    """
    if cfg.launcher == "none":
        return
    is_started = dist.is_initialized() or "RANK" in os.environ
    if cfg.launcher == "pytorch" and not is_started:
        raise InputError(
            "--launcher pytorch is for processes that torchrun starts, as "
            "tools/dist_train.sh does, but RANK is not set"
        )
    if cfg.launcher == "pytorch" and "TORCHELASTIC_RUN_ID" in os.environ:
        _end_with_parent()
    processes = os.environ.get("LOCAL_WORLD_SIZE", "1")
    if cfg.launcher == "slurm":
        _check_slurm()
        processes = str(int(os.environ["SLURM_LOCALID"]) + 1)  # up to this one
    if torch.cuda.is_available():
        check_num_processes(processes)
        return
    if cfg.launcher == "slurm":
        _set_slurm_environment()
    elif cfg.launcher != "pytorch":
        raise InputError(
            f"--launcher {cfg.launcher} needs CUDA devices and none is visible; on "
            "CPUs use tools/dist_train.sh, tools/slurm_train.sh or --launcher none"
        )
    if not dist.is_initialized():
        dist.init_process_group("gloo")
    cfg.model_wrapper_cfg = dict(
        type="MMDistributedDataParallel",
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get("find_unused_parameters", False),
    )


def _end_with_parent() -> None:
    """Ends this process with torchrun, which cannot do so where it is killed.

    It would train on, unseen, beside the job that takes its place.
    """
    if sys.platform == "linux":
        set_death_signal = 1  # PR_SET_PDEATHSIG
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def _check_slurm() -> None:
    """Checks that srun has started this process, and gives its job step a port."""
    if "SLURM_STEP_NODELIST" not in os.environ:
        raise InputError(
            "--launcher slurm is for processes that srun starts, as "
            "tools/slurm_train.sh does, but SLURM_STEP_NODELIST is not set"
        )
    # mmengine's default is one port for all jobs: two on a machine would meet there.
    job, step = (int(os.environ[f"SLURM_{name}_ID"]) for name in ("JOB", "STEP"))
    port = _FIRST_PORT + (job + 101 * step) % _NUM_PORTS
    os.environ.setdefault("MASTER_PORT", str(port))


def _set_slurm_environment() -> None:
    """Sets what torch.distributed reads, as mmengine does where there are GPUs."""
    for ours, slurms in (
        ("RANK", "SLURM_PROCID"),
        ("LOCAL_RANK", "SLURM_LOCALID"),
        ("WORLD_SIZE", "SLURM_NTASKS"),
    ):
        os.environ[ours] = os.environ[slurms]
    if "MASTER_ADDR" not in os.environ:
        nodes = os.environ["SLURM_STEP_NODELIST"]
        command = ["scontrol", "show", "hostnames", nodes]
        try:
            hosts = subprocess.run(command, capture_output=True, text=True, check=True)
            os.environ["MASTER_ADDR"] = hosts.stdout.split()[0]
        except (OSError, subprocess.CalledProcessError, IndexError) as e:
            raise InputError(
                f"scontrol does not name the first host of {nodes!r} "
                f"({describe_error(e):.200}); set MASTER_ADDR to it"
            ) from e


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
