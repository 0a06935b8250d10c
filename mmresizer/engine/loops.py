"""Training loops that can go on from any iteration as if they had never stopped.

All random numbers of an iteration depend on the seed of the run, on the process and on
the number of the iteration, and on nothing that happened before. So a checkpoint needs
no state of generators or of the processes that load data.
"""

import random
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dist import broadcast, get_rank
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.runner import (
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    Runner,
    set_random_seed,
)
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler

from mmresizer.registry import LOOPS, find_class
from mmresizer.utils import InputError

# Where the meta data of a checkpoint has it.
BATCHES_PER_EPOCH = "batches_per_epoch"


class Draw(NamedTuple):
    """A sample that is to be loaded.

    Attributes:
        number (int): Of the sample in the dataset.
        seed (int): Of the random numbers of its transforms.
    """

    number: int
    seed: int


class SeededBatchSampler(Sampler[list[Draw]]):
    """Adds a seed to each index that a batch sampler gives, and begins where asked.

    Args:
        batches (Iterable[Sequence[int]]): Gives the indices.
        seed (int): Of the run.
        is_endless (bool): Whether to begin again after the last batch. Defaults to
            False.
    """

    def __init__(self, batches: Any, seed: int, is_endless: bool = False):
        self.batches = batches
        self.seed = seed
        self.is_endless = is_endless
        self.start(0)

    def start(self, iteration: int, skipped: int = 0) -> None:
        """Sets where to begin.

        Args:
            iteration (int): Number of the next batch since the training began.
            skipped (int): Batches to leave out before it. Defaults to 0.
        """
        self._iteration, self._skipped = iteration, skipped

    def __iter__(self) -> Iterator[list[Draw]]:
        """Yields batches of samples to load."""
        # Hooks may go through the data once more, and then see all of it.
        skipped, self._skipped = self._skipped, 0
        batches = islice(self._walk(), skipped, None)
        for iteration, batch in enumerate(batches, self._iteration):
            seeds = _spawn_seeds(self.seed, iteration, len(batch), get_rank() + 1)
            yield [Draw(*pair) for pair in zip(batch, seeds, strict=True)]

    def _walk(self) -> Iterator[Sequence[int]]:
        yield from self.batches
        epoch = 0
        while self.is_endless:
            epoch += 1
            if hasattr(self.sampler, "set_epoch"):
                self.sampler.set_epoch(epoch)
            yield from self.batches

    def __len__(self) -> int:
        """Returns the number of batches of an epoch."""
        return len(self.batches)

    def __getattr__(self, name: str) -> Any:
        """Returns what the batch sampler has, such as its sampler."""
        if name == "batches":  # not there yet, as when it is unpickled
            raise AttributeError(name)
        return getattr(self.batches, name)


class SeededDataset(Dataset):
    """A dataset that sets the random numbers before it loads a :class:`Draw`.

    In all else it is the dataset that it was made from.

    Args:
        dataset (Dataset): That dataset.
    """

    def __init__(self, dataset: Dataset):
        vars(self)["dataset"] = dataset

    def __getattr__(self, name: str) -> Any:
        """Returns an attribute of the dataset."""
        if name == "dataset" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute of the dataset, as hooks that switch its transforms do."""
        setattr(self.dataset, name, value)

    def __len__(self) -> int:
        """Returns the number of samples."""
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, item: Any) -> Any:
        """Returns a sample."""
        if isinstance(item, Draw):
            _seed_sample(item.seed)
            item = item.number
        return self.dataset[item]

    def __getitems__(self, draws: Sequence[Draw]) -> Any:
        """Returns a batch."""
        if not hasattr(self.dataset, "__getitems__"):
            return [self[draw] for draw in draws]
        _seed_sample(draws[0].seed)
        return self.dataset.__getitems__([draw.number for draw in draws])


def _spawn_seeds(seed: int, iteration: int, count: int, stream: int) -> list[int]:
    """Returns seeds that no other iteration or stream has, but by chance."""
    sequence = np.random.SeedSequence([seed, iteration, stream])
    return sequence.generate_state(count).tolist()


def _seed_sample(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)  # in loading, no GPU draws numbers


def _seed_model(runner: Runner) -> None:
    """Sets the random numbers of the model, of Mixup and the like.

    The seed of a run differs between its processes if ``diff_rank_seed`` asks for it.
    """
    (seed,) = _spawn_seeds(runner.seed, runner.iter, 1, 0)
    set_random_seed(seed)


def _seed_loader(
    loader: DataLoader, seed: int, is_endless: bool = False
) -> SeededBatchSampler | None:
    """Makes a loader draw its random numbers from seeds; None if it has no indices."""
    if isinstance(loader.dataset, IterableDataset) or loader.batch_sampler is None:
        return None
    batches = SeededBatchSampler(loader.batch_sampler, seed, is_endless)
    # A loader refuses new ones, for those who have begun to iterate. Another loader
    # would lack the batch size and the sampler, which mmengine's hooks ask for.
    object.__setattr__(loader, "batch_sampler", batches)
    object.__setattr__(loader, "dataset", SeededDataset(loader.dataset))
    return batches


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """mmengine's ``EpochBasedTrainLoop``, which goes on from any iteration.

    A checkpoint from the end of an epoch was saved before the validation of that epoch.
    So a run that goes on from it validates first. An epoch may have another number of
    batches than before, as with more processes. Then the run goes on from the same
    share of the epoch, with the schedules of a run of such epochs.

    Args:
        runner (Runner): The Runner.
        dataloader (DataLoader | dict): Of the training data.
        *args (Any): Of mmengine's loop.
        **kwargs (Any): Of mmengine's loop.
    """

    def __init__(self, runner: Runner, dataloader: Any, *args: Any, **kwargs: Any):
        super().__init__(runner, dataloader, *args, **kwargs)
        self._batches = _seed_loader(self.dataloader, runner.seed)
        self._place = _FindPlaceHook()
        runner.register_hook(self._place)
        runner.register_hook(_ValidateFirstHook())
        runner.register_hook(_ShareStatisticsHook())

    @property
    def done(self) -> int:
        """Epochs that are trained, if a run goes on from the end of one; else 0."""
        return 0 if self._place.is_inside else self._epoch

    @property
    def end(self) -> int:
        """Epochs of the run."""
        return self._max_epochs

    def run_epoch(self) -> None:
        """Trains for what is left of an epoch."""
        if self._batches is not None:
            self._batches.start(self._iter, self._place.first)
        super().run_epoch()
        self._place.first = 0

    def run_iter(self, idx: int, data_batch: Sequence[dict]) -> None:
        """Trains for an iteration."""
        _seed_model(self.runner)
        super().run_iter(self._place.first + idx, data_batch)


class _ValidateFirstHook(Hook):
    """Makes the validation that was due when the checkpoint was saved."""

    priority = "LOWEST"  # after the hooks that validation needs

    def before_train(self, runner: Runner) -> None:
        loop = runner.train_loop
        loop._decide_current_val_interval()
        is_due = loop.done >= loop.val_begin and (
            loop.done % loop.val_interval == 0 or loop.done == loop.end
        )
        if loop.done > 0 and is_due and runner.val_loop is not None:
            print_log("Validates the model of the checkpoint first", logger="current")
            runner.val_loop.run()


class _ShareStatisticsHook(Hook):
    """Validates the model that is saved: that of the first process.

    Batch norms of each process have statistics of the images that it trains on. A run
    that goes on has those of the first process in all, and so another score.
    """

    priority = "LOWEST"  # after EMAHook, which puts its average in place

    def before_val_epoch(self, runner: Runner) -> None:
        for module in runner.model.modules():
            if isinstance(module, _NormBase):
                for statistics in module.buffers(recurse=False):
                    broadcast(statistics)


class _FindPlaceHook(Hook):
    """Notes in checkpoints how many batches an epoch has; finds where a run goes on.

    Attributes:
        first (int): The batch that the epoch begins with.
        is_inside (bool): Whether the checkpoint is of the middle of an epoch.
    """

    def __init__(self) -> None:
        self.first = 0
        self.is_inside = False

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint["meta"][BATCHES_PER_EPOCH] = len(runner.train_dataloader)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if not runner._resume:
            return
        meta, batches = checkpoint["meta"], len(runner.train_dataloader)
        saved = meta.get(BATCHES_PER_EPOCH)
        if saved is None:  # mmengine's own loop, most likely at the end of an epoch
            epochs = meta["epoch"]
            is_end = epochs > 0 and meta["iter"] % epochs == 0
            saved = meta["iter"] // epochs if is_end else batches
        done = min(max(0, meta["iter"] - meta["epoch"] * saved), saved)
        self.first = done * batches // saved
        self.is_inside = done > 0
        meta["iter"] = meta["epoch"] * batches + self.first
        if meta.get(BATCHES_PER_EPOCH, batches) != batches:
            print_log(
                f"An epoch has {batches} batches, and had {saved}: the run goes on "
                f"after batch {self.first}, with the schedules of such epochs",
                logger="current",
            )
            _repeat_schedules(runner, checkpoint, batches)


def _repeat_schedules(runner: Runner, checkpoint: dict, batches: int) -> None:
    """Puts into a checkpoint the schedules of a run of epochs of other lengths."""
    meta, own = checkpoint["meta"], runner.param_schedulers
    schedulers = own if isinstance(own, dict) else {"": own or []}
    every = [scheduler for one in schedulers.values() for scheduler in one]
    if any(hasattr(scheduler, "need_val_args") for scheduler in every):
        raise InputError(
            "a run with a ReduceOnPlateau scheduler goes on with as many batches an "
            f"epoch as before, {meta[BATCHES_PER_EPOCH]}, but now there are {batches}: "
            "take the same batch size and number of processes"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no optimizer steps
        for iteration in range(1, meta["iter"] + 1):
            # The rest of the epoch is still to come, even if it is empty.
            ends = iteration % batches == 0 and iteration <= meta["epoch"] * batches
            for scheduler in every:
                if not scheduler.by_epoch or ends:
                    scheduler.step()
    keys = {"lr", "momentum", "betas", *(scheduler.param_name for scheduler in every)}
    wrapper = runner.optim_wrapper
    is_one = isinstance(wrapper, OptimWrapper)
    wrappers = {"": wrapper} if is_one else dict(wrapper.items())
    states = {"": checkpoint["optimizer"]} if is_one else checkpoint["optimizer"]
    for name, one in wrappers.items():
        groups = one.optimizer.param_groups
        for saved, group in zip(states[name]["param_groups"], groups, strict=True):
            for key, value in group.items():
                if key in keys or key.startswith(("initial_", "max_", "min_")):
                    saved[key] = value
    made = {name: [s.state_dict() for s in one] for name, one in schedulers.items()}
    if own:
        checkpoint["param_schedulers"] = made if isinstance(own, dict) else made[""]


@LOOPS.register_module()
class ResumableIterLoop(IterBasedTrainLoop):
    """mmengine's ``IterBasedTrainLoop``, which goes on from any iteration.

    If a validation was due at the iteration of the checkpoint, it is made first.

    Args:
        runner (Runner): The Runner.
        dataloader (DataLoader | dict): Of the training data.
        *args (Any): Of mmengine's loop.
        **kwargs (Any): Of mmengine's loop.
    """

    def __init__(self, runner: Runner, dataloader: Any, *args: Any, **kwargs: Any):
        super().__init__(runner, dataloader, *args, **kwargs)
        batches = _seed_loader(self.dataloader, runner.seed, is_endless=True)
        if batches is not None:
            self.dataloader_iterator = _Stream(self.dataloader, batches)
        self._batches = batches
        runner.register_hook(_ValidateFirstHook())
        runner.register_hook(_ShareStatisticsHook())

    @property
    def done(self) -> int:
        """Iterations that are trained."""
        return self._iter

    @property
    def end(self) -> int:
        """Iterations of the run."""
        return self._max_iters

    def run(self) -> torch.nn.Module:
        """Trains."""
        if self.fast_forward_on_resume and self._batches is not None:
            self._batches.start(self._iter)  # from the first image, with new numbers
        return super().run()

    def run_iter(self, data_batch: Sequence[dict]) -> None:
        """Trains for an iteration."""
        _seed_model(self.runner)
        super().run_iter(data_batch)


class _Stream:
    """Batches of a loader without end; those that are skipped are not loaded."""

    def __init__(self, loader: DataLoader, batches: SeededBatchSampler):
        self._loader = loader
        self._batches = batches
        self._iterator: Iterator | None = None

    def skip_iter(self, num_iters: int) -> None:
        self._batches.start(num_iters, num_iters)

    def __next__(self) -> Any:
        if self._iterator is None:  # where to begin is known by now
            self._iterator = iter(self._loader)
        return next(self._iterator)


_RESUMABLE = {
    EpochBasedTrainLoop: "mmresizer.ResumableEpochLoop",
    IterBasedTrainLoop: "mmresizer.ResumableIterLoop",
}


def use_resumable_loop(train_cfg: dict) -> dict:
    """Returns a ``train_cfg`` with the loop of this module in place of mmengine's.

    Loops of other types stay.
    """
    settings = dict(train_cfg)
    if "type" in settings:
        loop = find_class(MMENGINE_LOOPS, settings["type"])
    elif isinstance(settings.get("by_epoch"), bool):
        by_epoch = settings.pop("by_epoch")
        loop = EpochBasedTrainLoop if by_epoch else IterBasedTrainLoop
    else:
        return settings  # mmengine says what is missing
    settings["type"] = _RESUMABLE.get(loop, settings.get("type"))
    return settings
