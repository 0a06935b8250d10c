import random

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.hooks import Hook
from torch.utils.data import DataLoader, Dataset

from mmresizer.apis import train_model
from mmresizer.engine import use_resumable_loop
from mmresizer.engine.loops import SeededDataset, _seed_loader
from mmresizer.registry import HOOKS, LOOPS
from mmresizer.utils import InputError


class Random(Dataset):
    """Its samples are their index, and a number of each generator."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), torch.rand(1).item()


class RandomBatches(Random):
    def __getitems__(self, indices):
        return [(index, torch.rand(1).item()) for index in indices]


def load(seed=0, start=(0, 0), workers=0, dataset=None, count=None):
    """Returns the batches of a loader, as lists of samples."""
    dataset = dataset or Random()
    sampler = DefaultSampler(dataset, shuffle=True, seed=5)
    loader = DataLoader(
        dataset, 3, sampler=sampler, num_workers=workers, collate_fn=list
    )
    batches = _seed_loader(loader, seed, is_endless=count is not None)
    batches.start(*start)
    assert len(loader) == 4
    iterator = iter(loader)
    return list(iterator) if count is None else [next(iterator) for _ in range(count)]


def test_numbers_depend_on_seed_and_iteration_alone():
    whole = load()
    samples = [sample for batch in whole for sample in batch]
    assert sorted(index for index, *_ in samples) == list(range(10))
    for place in (1, 2, 3):
        assert len({sample[place] for sample in samples}) == 10
    random.seed(1)
    torch.manual_seed(1)
    assert load() == whole
    assert load(workers=2) == whole
    assert load(start=(2, 2)) == whole[2:]
    assert load(start=(4, 4)) == []
    others = load(seed=1)
    later = load(start=(4, 0))  # the next epoch
    for batches in (others, later):
        assert [[s[0] for s in b] for b in batches] == [
            [s[0] for s in b] for b in whole
        ]
        assert not {s[1] for b in batches for s in b} & {s[1] for s in samples}


def test_processes_draw_other_numbers(monkeypatch):
    first = load()
    monkeypatch.setattr("mmresizer.engine.loops.get_rank", lambda: 1)
    assert not {s[1] for b in load() for s in b} & {s[1] for b in first for s in b}


def test_datasets_that_make_batches():
    whole = load(dataset=RandomBatches())
    assert load(dataset=RandomBatches(), start=(3, 3)) == whole[3:]
    assert len({sample[1] for batch in whole for sample in batch}) == 10


def test_without_end():
    """Behind the last batch comes another order, with other numbers."""
    batches = load(count=9)
    assert load(count=3, start=(6, 6)) == batches[6:]
    orders = [[s[0] for b in batches[i : i + 4] for s in b] for i in (0, 4)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10))
    assert orders[0] != orders[1]
    assert len({sample[1] for batch in batches for sample in batch}) == 10 + 10 + 3


def test_hooks_see_the_dataset_and_the_sampler():
    dataset = Random()
    dataset.pipeline = "old"
    sampler = InfiniteSampler(dataset, seed=0)
    loader = DataLoader(dataset, 3, sampler=sampler)
    _seed_loader(loader, 0)
    loader.dataset.pipeline = "new"  # as MMPretrain's SwitchRecipeHook does
    assert dataset.pipeline == "new"
    assert loader.batch_size == 3
    assert loader.sampler is loader.batch_sampler.sampler is sampler
    assert loader.dataset[4][0] == 4
    with pytest.raises(AttributeError, match="absent"):
        _ = SeededDataset(dataset).absent


@HOOKS.register_module()
class NoteIterations(Hook):
    """Notes the numbers of all iterations; stops where asked."""

    validations = 0

    def __init__(self, stop=None):
        self.stop = stop

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == self.stop:
            raise KeyboardInterrupt
        NoteIterations.seen.append((runner.epoch, batch_idx, runner.iter))
        group = runner.optim_wrapper.optimizer.param_groups[-1]
        NoteIterations.rates.append((group["lr"], group["betas"]))

    def after_val_epoch(self, runner, metrics=None):
        NoteIterations.validations += 1


@pytest.fixture
def train(demo_config, tmp_path):
    NoteIterations.seen, NoteIterations.rates = [], []

    def train(folder, stop=None, resume=False, train_cfg=None, **changes):
        cfg = Config.fromfile(demo_config(**changes))
        cfg.train_cfg = train_cfg or cfg.train_cfg
        cfg.launcher = "none"
        cfg.work_dir = str(tmp_path / folder)
        cfg.experiment_name = f"{tmp_path.name}_{len(NoteIterations.seen)}"
        cfg.resume = resume
        cfg.custom_hooks = [dict(type="mmresizer.NoteIterations", stop=stop)]
        return train_model(cfg)

    return train


def interrupt(train, folder, stop, **changes):
    with pytest.raises(KeyboardInterrupt):
        train(folder, stop, **changes)


BY_ITERATION = {
    "default_hooks.checkpoint": dict(
        _delete_=True, type="CheckpointHook", by_epoch=False, interval=3
    ),
    "param_scheduler": [],
}


@pytest.mark.parametrize("sampler", ["InfiniteSampler", "DefaultSampler"])
def test_a_training_by_iterations_goes_on(train, sampler, tmp_path):
    changes = {
        **BY_ITERATION,
        "train_cfg": dict(by_epoch=False, max_iters=9, val_interval=9),
        "train_dataloader.sampler": dict(type=sampler, shuffle=True),
        "train_dataloader.dataset.pipeline": [
            dict(type="RandomFlip", prob=0.5),
            dict(type="PackInputs"),
        ],
    }
    whole = train("whole", **changes).state_dict()
    interrupt(train, "parts", 7, **changes)
    parts = train("parts", resume=True, **changes).state_dict()
    assert [i for *_, i in NoteIterations.seen] == [*range(9), *range(7), *range(6, 9)]
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name


@pytest.mark.parametrize("scale", [False, True])
def test_an_epoch_of_another_number_of_batches(train, scale):
    """The same share of the images is left, and schedules are those of such a run."""
    by_epoch = dict(by_epoch=True, convert_to_iter_based=True)
    changes = {
        **BY_ITERATION,
        "train_cfg.max_epochs": 2,
        "auto_scale_lr": dict(base_batch_size=8, enable=scale),
        "param_scheduler": [
            dict(type="LinearLR", start_factor=0.1, end=1, **by_epoch),
            dict(type="CosineAnnealingLR", begin=1, T_max=1, end=2, **by_epoch),
            dict(type="MultiStepLR", milestones=[1], gamma=0.5, by_epoch=True),
            dict(type="LinearMomentum", start_factor=0.5, end=2, **by_epoch),
        ],
    }
    smaller = {**changes, "train_dataloader.batch_size": 4}
    train("whole", **smaller)
    rates = NoteIterations.rates[12:]
    assert len({rate for rate, _ in rates}) == len({b for _, b in rates}) == 4
    interrupt(train, "run", 6, **changes)  # of 4 batches an epoch; saved: 1 and 2/4
    for seen in (NoteIterations.seen, NoteIterations.rates):
        seen.clear()
    train("run", resume=True, **smaller)
    assert NoteIterations.seen == [(1, 4 + i, 12 + i) for i in range(4)]
    assert NoteIterations.rates == rates


@pytest.mark.parametrize(("batch_size", "first"), [(4, 8), (16, 2)])
def test_the_last_batch_of_an_epoch(train, batch_size, first):
    """The epoch's end, and the step of schedules by epochs, is still to come."""
    changes = {
        "train_cfg.max_epochs": 3,
        "default_hooks.checkpoint": dict(
            _delete_=True, type="CheckpointHook", by_epoch=False, interval=4
        ),
        "param_scheduler": [
            dict(type="MultiStepLR", milestones=[1, 2], gamma=0.1, by_epoch=True)
        ],
    }
    interrupt(train, "run", 4, **changes)
    for seen in (NoteIterations.seen, NoteIterations.rates):
        seen.clear()
    train("run", resume=True, **changes, **{"train_dataloader.batch_size": batch_size})
    assert NoteIterations.seen[0] == (1, 0, first)
    rates = [lr for lr, _ in NoteIterations.rates]
    assert rates == pytest.approx([2e-4] * first + [2e-5] * first)


def test_a_plateau_needs_epochs_of_the_same_length(train):
    plateau = dict(type="ReduceOnPlateauLR", monitor="accuracy/top1", rule="greater")
    changes = {**BY_ITERATION, "param_scheduler": [plateau]}
    interrupt(train, "run", 6, **changes)
    with pytest.raises(InputError, match="as before, 4, but now there are 8: take the"):
        train("run", resume=True, **changes, **{"train_dataloader.batch_size": 4})


def test_a_validation_that_was_due(train, log):
    """Behind the last iteration, in a training by iterations."""
    changes = {
        **BY_ITERATION,
        "train_cfg": dict(by_epoch=False, max_iters=6, val_interval=3),
        "train_dataloader.sampler": dict(type="InfiniteSampler", shuffle=True),
    }
    NoteIterations.validations = 0
    train("run", **changes)
    assert NoteIterations.validations == 2
    train("run", resume=True, **changes)  # nothing is left to train
    assert NoteIterations.validations == 3
    changes["train_cfg"] = dict(by_epoch=False, max_iters=7, val_interval=5)
    train("run", resume=True, **changes)  # at 6 none was due
    assert NoteIterations.validations == 4


def test_hooks_may_go_through_the_data_again():
    loader = DataLoader(Random(), 3, collate_fn=list)
    batches = _seed_loader(loader, 0)
    batches.start(7, 3)
    assert [len(list(loader)) for _ in range(2)] == [1, 4]


def test_keeps_its_seed(train, tmp_path):
    train("run", **{"train_cfg.max_epochs": 1, "randomness.seed": None})
    train("run", resume=True, **{"randomness.seed": 8})
    seeds = [
        torch.load(tmp_path / "run" / name, weights_only=False)["meta"]["seed"]
        for name in ("epoch_1.pth", "epoch_2.pth")
    ]
    assert seeds[0] == seeds[1] != 8


def test_replaces_the_loops_of_mmengine_alone():
    @LOOPS.register_module(force=True)
    class OwnLoop:
        pass

    for train_cfg, kind in (
        (dict(by_epoch=True, max_epochs=2), "mmresizer.ResumableEpochLoop"),
        (
            dict(type="EpochBasedTrainLoop", max_epochs=2),
            "mmresizer.ResumableEpochLoop",
        ),
        (dict(by_epoch=False, max_iters=2), "mmresizer.ResumableIterLoop"),
        (dict(type="IterBasedTrainLoop", max_iters=2), "mmresizer.ResumableIterLoop"),
        (dict(type="mmresizer.OwnLoop"), "mmresizer.OwnLoop"),
    ):
        used = use_resumable_loop(train_cfg)
        assert used.pop("type") == kind
        assert used == {
            k: v for k, v in train_cfg.items() if k not in ("type", "by_epoch")
        }
    assert use_resumable_loop(dict(max_epochs=2)) == dict(max_epochs=2)
