import json
import zlib

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from mmresizer.apis import evaluate_model, train_model
from mmresizer.engine import DivergedError
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
