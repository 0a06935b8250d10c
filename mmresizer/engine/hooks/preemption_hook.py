"""A checkpoint of a job that is about to be stopped."""

import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread
from types import FrameType

import torch
import torch.distributed as dist
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmresizer.engine.distributed import get_timeout, set_gloo_interface
from mmresizer.registry import HOOKS
from mmresizer.utils.files import write_atomically

# Windows has but one of them.
SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)
]


@HOOKS.register_module()
class PreemptionHook(Hook):
    """Saves a checkpoint and ends the training when a cluster asks for its machines.

    It waits for SIGTERM, which schedulers send before they kill, and for SIGUSR1, which
    ``sbatch --signal=USR1@SECONDS`` sends before the time limit. One process of a job
    is enough. All stop after the same iteration, and the first one saves
    ``epoch_E_iter_I.pth``, or ``iter_I.pth`` where ``train_cfg`` counts iterations. All
    end as if the signal had killed them, with the status 143 or 138. ``--resume`` goes
    on from there.

    A validation that runs is finished first, and gradients that are accumulated are
    used first. In a training by epochs there is at most one such checkpoint. It is
    deleted at the end of the training. ``tools/train.py`` has this hook without being
    asked.
    """

    priority = "LOWEST"  # after those that change what is saved

    def __init__(self) -> None:
        self._received = 0
        self._handlers: dict[int, object] = {}
        self._group: dist.ProcessGroup | None = None
        self._asked: tuple[torch.Tensor, dist.Work] | None = None

    def before_train(self, runner: Runner) -> None:
        """Begins to wait for signals."""
        for number in SIGNALS:
            self._handlers[number] = signal.signal(number, self._receive)
        loaders = [runner.train_dataloader]
        if runner.val_loop is not None:
            loaders.append(runner.val_dataloader)
        for loader in loaders:
            loader.worker_init_fn = partial(_init_worker, loader.worker_init_fn)
        if dist.is_initialized() and dist.get_world_size() > 1:
            # Flags of the CPU, whatever the gradients travel by.
            set_gloo_interface()
            self._group = dist.new_group(
                timeout=get_timeout(runner.cfg), backend="gloo"
            )

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = number

    def after_train_iter(self, runner: Runner, *_: object, **__: object) -> None:
        """Saves and ends, if one of the processes has got a signal."""
        number = self._agree()
        if not number or not _is_updated(runner):
            return
        path = _save(runner)
        print_log(
            f"Got {signal.Signals(number).name} and saved {path}; --resume goes on "
            "from there",
            logger="current",
        )
        barrier()  # nobody leaves while the first process saves
        runner.visualizer.close()
        logging.shutdown()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def _agree(self) -> int:
        """Returns the signal that a process got before the last iteration; 0 if none.

        The question of an iteration is answered at the next one: no process waits.
        """
        if self._group is None:
            return self._received
        number = 0
        if self._asked is not None:
            flag, work = self._asked
            work.wait()
            number = int(flag)
        flag = torch.tensor(max(number, self._received))
        work = dist.all_reduce(flag, dist.ReduceOp.MAX, self._group, async_op=True)
        self._asked = flag, work
        return number

    def after_train(self, runner: Runner) -> None:
        """Stops to wait, and deletes the checkpoint that is out of date."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        if self._asked is not None:
            self._asked[1].wait()
            barrier()
            dist.destroy_process_group(self._group)
            self._asked = self._group = None
        if is_main_process():
            _delete_all(runner, but="")


def _init_worker(init: Callable | None, worker: int) -> None:
    """Prepares a process that loads data.

    Slurm signals all processes of a job, and the training needs these to its end. What
    made them may still end them.
    """
    if hasattr(signal, "sigwaitinfo"):  # on Linux
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        Thread(target=_obey_parent, daemon=True).start()
    if init is not None:
        init(worker)


def _obey_parent() -> None:
    """Ends the process at a SIGTERM of the one that made it."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


def _is_updated(runner: Runner) -> bool:
    """Returns whether all gradients so far are in the weights."""
    wrapper = runner.optim_wrapper
    wrappers = [wrapper] if isinstance(wrapper, OptimWrapper) else wrapper.values()
    return all(wrapper.should_update() for wrapper in wrappers)


def _save(runner: Runner) -> Path:
    """Saves a checkpoint of the middle of an epoch, and returns its path."""
    name = f"iter_{runner.iter + 1}.pth"
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        name = f"epoch_{runner.epoch}_{name}"
    path = Path(runner.work_dir) / name
    runner.save_checkpoint(str(path.parent), name, by_epoch=False)
    if is_main_process():
        write_atomically(path.parent / "last_checkpoint", str(path))
        _delete_all(runner, but=name)
    return path


def _delete_all(runner: Runner, but: str) -> None:
    """Deletes the checkpoints of this hook, except one."""
    for path in Path(runner.work_dir).glob("epoch_*_iter_*.pth"):
        if path.name != but:
            with suppress(OSError):
                path.unlink()
