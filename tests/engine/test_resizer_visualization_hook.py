import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmresizer.engine import ResizerVisualizationHook
from mmresizer.utils import InputError


@pytest.mark.parametrize(("interval", "steps"), [(1, [1, 2, 3]), (2, [1, 3])])
def test_writes_to_the_backends(demo_config, tmp_path, interval, steps):
    """A PNG an interval, and the same images in TensorBoard."""
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    cfg = Config.fromfile(
        demo_config(
            **{
                "train_cfg.max_epochs": 3,
                "visualizer.vis_backends": [
                    dict(type="LocalVisBackend"),
                    dict(type="TensorboardVisBackend"),
                ],
                "default_hooks.resizer": dict(
                    type="mmresizer.ResizerVisualizationHook",
                    interval=interval,
                    num_images=2,
                ),
            }
        )
    )
    cfg.work_dir = str(tmp_path / "run")
    cfg.experiment_name = f"hook_{interval}_{tmp_path.name}"
    Runner.from_cfg(cfg).train()
    (data,) = tmp_path.glob("run/*/vis_data")
    names = {path.name for path in data.glob("vis_image/*.png")}
    assert names == {f"resizer_{step}.png" for step in steps}
    events = accumulator.EventAccumulator(str(data))
    events.Reload()
    assert [event.step for event in events.Images("resizer")] == steps


@pytest.mark.parametrize("kwargs", [dict(interval=0), dict(num_images=0)])
def test_refuses(kwargs):
    sentence = f"{next(iter(kwargs))} must be an int of 1 or more, got 0"
    with pytest.raises(InputError, match=sentence):
        ResizerVisualizationHook(**kwargs)
