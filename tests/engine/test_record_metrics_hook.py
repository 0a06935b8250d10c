import json
from types import SimpleNamespace

import pytest
import torch

from mmresizer.engine import DivergedError, RecordMetricsHook


@pytest.fixture
def hook(tmp_path):
    return RecordMetricsHook(str(tmp_path), metrics=["coco/mAP", "coco/mAP_50"])


RUNNER = SimpleNamespace(epoch=1, iter=4, max_iters=20)


def test_records_the_metrics_that_are_asked_for(hook, tmp_path):
    hook.after_val_epoch(RUNNER, {"coco/mAP": 0.1, "coco/mAP_50": 0.2, "other": 0.3})
    record = json.loads((tmp_path / "record.json").read_text())
    assert record == {"coco/mAP": 0.1, "coco/mAP_50": 0.2}


def test_a_metric_that_is_missing_is_named(hook, tmp_path):
    with pytest.raises(RuntimeError, match="gives no coco/mAP_50, as if"):
        hook.after_val_epoch(RUNNER, {"coco/mAP": 0.1})
    assert not (tmp_path / "record.json").exists()


def test_notes_the_progress(hook, tmp_path):
    hook.after_train_iter(RUNNER, 0, outputs=dict(loss=torch.tensor(1.0)))
    progress = json.loads((tmp_path / "progress.json").read_text())
    assert progress == dict(iteration=5, max_iterations=20)


def test_ends_a_run_that_diverges(hook):
    message = r"the loss became nan in epoch 2, iteration 4"
    with pytest.raises(DivergedError, match=message):
        hook.after_train_iter(RUNNER, 3, outputs=dict(loss=torch.tensor(torch.nan)))


def test_patterns_record_all_that_they_fit(tmp_path):
    hook = RecordMetricsHook(str(tmp_path), metrics=["coco/mAP", "coco/*_precision"])
    found = {"coco/mAP": 0.1, "coco/a_precision": 0.2, "coco/b c_precision": 0.3}
    hook.after_val_epoch(RUNNER, found | {"precision": 1.0})
    assert json.loads((tmp_path / "record.json").read_text()) == found
    with pytest.raises(RuntimeError, match=r"gives no coco/\*_precision"):
        hook.after_val_epoch(RUNNER, {"coco/mAP": 0.1})
