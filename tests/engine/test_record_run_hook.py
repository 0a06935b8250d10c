import json
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmpretrain.structures import DataSample

from mmresizer.apis import evaluate_model, train_model
from mmresizer.engine import DivergedError, RecordRunHook
from mmresizer.engine.hooks.record_run_hook import sum_by_place
from mmresizer.registry import HOOKS


@HOOKS.register_module()
class RememberBatches(Hook):
    """Keeps the bytes of all images and labels, and all losses."""

    def before_train(self, runner):
        RememberBatches.data, RememberBatches.losses = b"", []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        labels = [sample.gt_label for sample in data_batch["data_samples"]]
        for tensor in (*data_batch["inputs"], *labels):
            RememberBatches.data += np.ascontiguousarray(tensor).tobytes()
        RememberBatches.losses.append(outputs["loss"].item())


@pytest.fixture
def make_config(demo_config, tmp_path):
    def make_config(**changes):
        cfg = Config.fromfile(demo_config("bilinearx4", **changes))
        cfg.launcher = "none"
        cfg.work_dir = str(tmp_path / "run")
        cfg.experiment_name = f"record_{tmp_path.name}"
        cfg.custom_hooks = [
            dict(type="mmresizer.RememberBatches"),
            dict(type="mmresizer.RecordRunHook", out_dir=str(tmp_path)),
        ]
        return cfg

    return make_config


def test_records(make_config, tmp_path):
    cfg = make_config()
    train_model(cfg.copy())
    record = json.loads((tmp_path / "record.json").read_text())
    losses = np.reshape(RememberBatches.losses, (2, -1)).mean(axis=1)
    assert record["loss"] == pytest.approx(losses)
    assert record["data"][-1] == f"{zlib.crc32(RememberBatches.data):08x}"
    half = len(RememberBatches.data) // 2
    assert record["data"][0] == f"{zlib.crc32(RememberBatches.data[:half]):08x}"

    # Accuracy is that of the evaluation of MMPretrain, images in the order of the set.
    out = tmp_path / "pred.pkl"
    metrics = evaluate_model(cfg.copy(), str(tmp_path / "run/epoch_2.pth"), str(out))
    assert record["top1"][-1] == pytest.approx(metrics["accuracy/top1"])
    import pickle

    predictions = pickle.loads(out.read_bytes())
    right = [torch.equal(p["pred_label"], p["gt_label"]) for p in predictions]
    assert record["correct"] == "".join("1" if r else "0" for r in right)
    assert len(record["top1"]) == 2


def test_ends_a_run_that_diverges(make_config):
    cfg = make_config(**{"optim_wrapper.optimizer.lr": 1e30})
    with pytest.raises(DivergedError, match=r"the loss became \w+ in epoch 1, iter"):
        train_model(cfg)


def test_ends_a_run_whose_last_step_spoils_the_weights(make_config):
    """The loss of the only iteration is from before that step."""
    options = {"optim_wrapper.optimizer.lr": 1e30, "train_dataloader.batch_size": 32}
    cfg = make_config(**options, **{"train_cfg.max_epochs": 1})
    with pytest.raises(DivergedError, match=r"scores are not finite in the .* epoch 1"):
        train_model(cfg)


@pytest.fixture
def checksum(tmp_path):
    """Returns the checksums of a training and of a validation batch."""

    def checksum(images):
        samples = [DataSample().set_gt_label(i) for i in range(len(images))]
        for sample in samples:
            sample.set_pred_score(torch.ones(2)).set_pred_label(0)
        batch = dict(inputs=images, data_samples=samples)
        hook = RecordRunHook(str(tmp_path))
        runner = SimpleNamespace(epoch=0, iter=0, max_iters=1)
        hook.after_train_iter(runner, 0, batch, dict(loss=torch.tensor(1.0)))
        hook.before_val_epoch(runner)
        hook.after_val_iter(runner, 0, batch, samples)
        hook.after_val_epoch(runner)
        record = json.loads((tmp_path / "record.json").read_text())
        return record["data"], record["val_data"]

    return checksum


@pytest.fixture
def images():
    """Two images of more pixels than the weights by place have values."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(255, (2, 3, 150, 150), generator=generator, dtype=torch.uint8)


def change(images, place):
    """Adds 1 to a byte of the second image."""
    changed = images.clone()
    changed[1].view(-1)[place] += 1
    return changed


# The 65,521st byte is where the weights begin anew.
PLACES = [0, 1, 65_519, 65_520, 65_521, -1]


def test_checksum_tells_batches_apart(checksum, images):
    batches = [images, images.flip(0), *(change(images, place) for place in PLACES)]
    for found in zip(*map(checksum, batches), strict=True):
        assert len(set(map(str, found))) == len(batches)
    assert checksum(images.clone()) == checksum(images)


def test_sums_on_a_gpu_are_weighted_by_place(images):
    """Small enough for a loop: each byte by the square of its place mod 65,521, + 1."""
    small = images[:, :, :2, :2]
    expected = [
        sum(int(b) * (i**2 % 65_521 + 1) for i, b in enumerate(image.flatten(), 1))
        for image in small
    ]
    assert sum_by_place(small).tolist() == expected
    last = small.contiguous(memory_format=torch.channels_last)
    assert sum_by_place(last).tolist() == expected


def test_sums_on_a_gpu_tell_images_apart(images):
    first, second = sum_by_place(images).tolist()
    assert first != second
    assert sum_by_place(images.flip(0)).tolist() == [second, first]
    for place in PLACES:
        assert sum_by_place(change(images, place))[1] != second
    # Of images of other types the bytes count: all of these are 0 as ints.
    fractions = torch.tensor([[0.25, 0.5], [0.5, 0.25]])
    assert len(set(sum_by_place(fractions).tolist())) == 2
