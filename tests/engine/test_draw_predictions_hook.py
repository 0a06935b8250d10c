from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmpretrain.structures import DataSample
from mmpretrain.visualization import UniversalVisualizer
from PIL import Image

from mmresizer.engine import DrawPredictionsHook
from mmresizer.utils import InputError


class Dataset(list):
    """Dicts in memory."""

    get_data_info = list.__getitem__


def draw(tmp_path, infos, batches, interval=1, label=0):
    """Runs the hook on batches of images; returns the names of the pictures."""
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=Dataset(infos)))
    visualizer = UniversalVisualizer(vis_backends=[])
    runner = SimpleNamespace(test_loop=loop, visualizer=visualizer)
    hook = DrawPredictionsHook(str(tmp_path / "out"), interval)
    hook.before_test(runner)
    samples = [DataSample(metainfo=info).set_pred_label(label) for info in infos]
    for sample in samples:
        sample.set_pred_score(torch.tensor([0.5]))
    for i, inputs in enumerate(batches):
        outputs, samples = samples[: len(inputs)], samples[len(inputs) :]
        hook.after_test_iter(runner, i, {"inputs": inputs}, outputs)
    files = (tmp_path / "out").rglob("*.*")
    return sorted(str(file.relative_to(tmp_path / "out")) for file in files)


def test_the_last_batch_may_be_smaller(tmp_path):
    """Images without a file have numbers; every second one, of batches of 2, 2, 1."""
    batches = [torch.zeros(n, 1, 60, 60, dtype=torch.uint8) for n in (2, 2, 1)]
    names = draw(tmp_path, [{}] * 5, batches, interval=2)
    assert names == ["000000.png", "000002.png", "000004.png"]


def test_paths_below_the_folder_of_all_images(tmp_path):
    infos = [{"img_path": f"data/{name}"} for name in ("a/x/1.png", "a/1.png", "b/1")]
    blue, green, red = torch.eye(3, dtype=torch.uint8)[:, :, None, None] * 200
    batch = [image.expand(3, 60, 60) for image in (blue, green, red)]
    names = draw(tmp_path, infos, [batch])
    assert names == ["a/1.png", "a/x/1.png", "b/1.png"]
    for name, rgb in zip(names, np.eye(3)[[1, 2, 0]] * 200, strict=True):
        picture = np.array(Image.open(tmp_path / "out" / name))
        assert np.abs(picture[-5:, -5:] - rgb).max() <= 1


def test_regression(tmp_path):
    """Its head gives the value as label and as score."""
    batch = torch.zeros(1, 3, 60, 60, dtype=torch.uint8)
    assert draw(tmp_path, [{}], [batch], label=torch.tensor([2.5])) == ["000000.png"]


def test_refuses():
    with pytest.raises(InputError, match="interval must be an int of 1 or more, got 0"):
        DrawPredictionsHook("out", 0)
