"""Setup of distributed jobs, with CUDA and without."""

import ctypes
import gc
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from importlib import metadata
from pathlib import Path

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dist import all_gather_object, get_world_size

from mmresizer.utils import InputError
from mmresizer.utils.errors import describe_error, one_line
from mmresizer.version import __version__


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


def check_job(environ: Mapping[str, str]) -> None:
    """Checks what tells torchrun about the nodes of a job, before it starts.

    Args:
        environ (Mapping[str, str]): With NNODES, NODE_RANK, MASTER_ADDR and PORT, or
            RDZV_ENDPOINT; and MAX_RESTARTS. All may be missing.

    Raises:
        InputError: If one is out of its range, the first node has no such address, or
            the port is in use on this machine.
    """
    endpoint = environ.get("RDZV_ENDPOINT") or None
    nodes = environ.get("NNODES", "1").split(":")
    counts = [_to_int(count) for count in nodes]
    if len(counts) > (2 if endpoint else 1) or not 1 <= counts[0] <= counts[-1]:
        raise InputError(
            "NNODES must be a positive int or, with RDZV_ENDPOINT, MIN:MAX, but is "
            f"{environ['NNODES']!r}"
        )
    if _to_int(environ.get("MAX_RESTARTS", "0")) < 0:
        raise InputError(
            f"MAX_RESTARTS must be an int of 0 or more, but is "
            f"{environ['MAX_RESTARTS']!r}"
        )
    if endpoint:
        host, _, port = endpoint.rpartition(":")
        if not host or not 0 < _to_int(port) < 2**16:
            raise InputError(f"RDZV_ENDPOINT must be HOST:PORT, but is {endpoint!r}")
        return  # the host may get its name later, as a pod does
    rank = environ.get("NODE_RANK", "0")
    if not 0 <= _to_int(rank) < counts[0]:
        raise InputError(
            f"NODE_RANK must be an int from 0 to {counts[0] - 1}, for NNODES="
            f"{counts[0]}, but is {rank!r}"
        )
    if counts[0] == 1 and not environ.get("PORT"):
        return
    port = environ.get("PORT", "29500")
    if not 0 < _to_int(port) < 2**16:
        raise InputError(f"PORT must be an int from 1 to 65535, but is {port!r}")
    host = environ.get("MASTER_ADDR", "127.0.0.1")
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError) as e:
        raise InputError(f"MASTER_ADDR: no address of {host!r} is known ({e})") from e
    if int(rank) == 0:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("", int(port)))
            except OSError as e:
                raise InputError(
                    f"PORT={port} cannot be used on this machine ({e.strerror}); set "
                    "PORT to a free one, the same on all nodes"
                ) from e


def _to_int(text: str) -> int:
    """Returns the number that a text is, or -1."""
    return int(text) if text.isdecimal() and text.isascii() else -1


def is_hidden_endpoint(endpoint: str) -> bool:
    """Returns whether torchrun has to be told that it is to open an endpoint here.

    It finds that out by the host's name, and by the addresses of that alone.

    Args:
        endpoint (str): HOST:PORT.
    """
    host, _, port = endpoint.rpartition(":")
    is_known = host.startswith("127.") or host == _resolve_own_name()
    is_number = all(part.isdecimal() for part in host.split("."))
    return is_number and not is_known and _is_own_address(host, int(port))


def _is_own_address(address: str, port: int = 0) -> bool:
    """Returns whether an IPv4 address is of this machine, and a port of it free."""
    try:
        with socket.create_server((address, port)):
            return True
    except OSError:
        return False


def _resolve_own_name() -> str:
    """Returns the IPv4 address of this host's name; "" if there is none."""
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return ""


def check_same_code() -> None:
    """Checks that all processes of a job have the same packages and sources.

    Raises:
        InputError: In all of them, if they have not.
    """
    if get_world_size() == 1:
        return
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(file.read_bytes())
    packages = ("torch", "onedl-mmengine", "onedl-mmpretrain")
    code = {name: metadata.version(name) for name in packages}
    code["mmresizer"] = f"{__version__} (sources {digest.hexdigest()[:8]})"
    (first_host, first), *others = all_gather_object((socket.gethostname(), code))
    for host, theirs in others:
        for name, version in theirs.items():
            if version != first[name]:
                raise InputError(
                    f"the nodes have different code: {name} {first[name]} on "
                    f"{first_host}, and {version} on {host}; install the same on all"
                )


def is_restarting() -> bool:
    """Returns whether torchrun starts this job again when one of its processes dies.

    The processes are not told whether they are the first: if machines come and go, the
    number of restarts stays 0.
    """
    return int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0


_GET_ADDRESS = 0x8915  # SIOCGIFADDR of Linux

# gloo's exceptions, and NCCL's, have no type of their own for it.
_LOSS = re.compile(
    r"Timed out waiting \d+ms|Connection (closed|reset) by peer|Connection refused"
    "|remote process exited"
)

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
        _check_nodes()
    processes = os.environ.get("LOCAL_WORLD_SIZE", "1")
    if cfg.launcher == "slurm":
        _check_slurm()
        with suppress(OSError):  # in a container it may be unseen
            # Not with a script of the user's: a signal may end it before the job.
            parent = Path(f"/proc/{os.getppid()}/comm").read_text()
            if parent.strip() == "slurmstepd":
                _end_with_parent()
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
        set_gloo_interface()
        dist.init_process_group("gloo", timeout=get_timeout(cfg))
    cfg.model_wrapper_cfg = dict(
        type="MMDistributedDataParallel",
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get("find_unused_parameters", False),
    )


def get_timeout(cfg: Config) -> timedelta | None:
    """Returns how long a process waits for the others; None is torch's default."""
    seconds = cfg.get("env_cfg", {}).get("dist_cfg", {}).get("timeout")
    return None if seconds is None else timedelta(seconds=seconds)


def _check_nodes() -> None:
    """Checks that as many nodes take part as ``dist_run.sh`` was told.

    torchrun goes on without a node that it takes for dead.
    """
    least = int(os.environ.get("MMRESIZER_MIN_NODES", "1"))
    there = int(os.environ["GROUP_WORLD_SIZE"])
    if there < least:
        raise InputError(
            f"{there} of {least} nodes (NNODES) take part in the job; with "
            "RDZV_ENDPOINT a node whose clock is 15 s late counts as lost"
        )


def set_gloo_interface() -> None:
    """Has gloo use the interface that reaches the other nodes, unless the user has.

    It takes the address of the host's name. Debian makes that 127.0.1.1, where no other
    node finds this one. Where the name has an address of this machine, that stays.
    """
    nodes = os.environ.get("GROUP_WORLD_SIZE") or os.environ.get("SLURM_NNODES", "1")
    if nodes == "1" or "GLOO_SOCKET_IFNAME" in os.environ:
        return
    own = _resolve_own_name()
    if not own.startswith("127.") and _is_own_address(own):
        return
    # The first node may know itself by a loopback address, too: any address outside.
    for target in (os.environ.get("MASTER_ADDR", ""), "198.51.100.1"):
        interface = _find_interface(target)
        if interface not in ("", "lo"):
            os.environ["GLOO_SOCKET_IFNAME"] = interface
            return


def _find_interface(target: str) -> str:
    """Returns the name of the interface that reaches a host by IPv4; "" if none does.

    Nothing is sent.
    """
    try:
        import fcntl  # not on Windows

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((target, 9))
            address = s.getsockname()[0]
            for _, name in socket.if_nameindex():
                request = struct.pack("256s", name.encode())
                with suppress(OSError):  # it has no IPv4 address
                    answer = fcntl.ioctl(s, _GET_ADDRESS, request)
                    if socket.inet_ntoa(answer[20:24]) == address:
                        return name
    except (ImportError, OSError):
        pass
    return ""


def _end_with_parent() -> None:
    """Ends this process with torchrun or slurmstepd, even where these are killed.

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


@contextmanager
def losing_processes() -> Iterator[None]:
    """Turns the loss of another process, or of the network, into one sentence.

    Raises:
        InputError: In place of the exception of torch.distributed.
    """
    try:
        yield
    except RuntimeError as e:
        reason = one_line(e)
        if not _LOSS.search(reason):
            raise
        reason = re.sub(r"^\[\S+:\d+\] ", "", reason)  # a line of gloo's sources
        raise InputError(
            f"lost another process of the job ({reason}); --resume goes on from the "
            "last checkpoint"
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
