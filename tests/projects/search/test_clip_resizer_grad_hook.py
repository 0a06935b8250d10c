import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from mmresizer.apis import train_model
from mmresizer.registry import HOOKS
from mmresizer.utils import InputError
from projects.search.hooks import ClipResizerGradHook


@HOOKS.register_module()
class RememberWeights(Hook):
    weights: dict = {}  # noqa: RUF012

    def before_train(self, runner):
        parameters = runner.model.named_parameters()
        self.weights.update({name: p.detach().clone() for name, p in parameters})


@pytest.fixture
def take_step(demo_config, tmp_path):
    """Takes a step of plain SGD; returns what it adds to resizer and backbone."""

    def take_step(name, prefix="resizerx4", **options):
        clip = [dict(type="mmresizer.ClipResizerGradHook", **options)]
        clip = clip if options else []
        cfg = Config.fromfile(
            demo_config(
                prefix,
                **{
                    "train_cfg.max_epochs": 1,
                    "train_dataloader.dataset.num_samples": 8,
                    "optim_wrapper.optimizer": dict(type="SGD", lr=1.0, _delete_=True),
                    "param_scheduler": None,
                    "custom_hooks": [dict(type="mmresizer.RememberWeights"), *clip],
                },
            )
        )
        cfg.launcher = "none"
        cfg.work_dir = str(tmp_path / name)
        cfg.experiment_name = f"clip_{name}_{tmp_path.name}"
        model = train_model(cfg)
        start = RememberWeights.weights
        return [
            torch.cat(
                [
                    (value - start[key]).flatten()
                    for key, value in model.named_parameters()
                    if key.startswith(f"{part}.")
                ]
                or [torch.zeros(0)]
            )
            for part in ("resizer", "backbone")
        ]

    return take_step


def test_clips_the_resizer_alone(take_step):
    """The step of SGD is rate times gradient: here the gradient itself."""
    resizer, backbone = take_step("free")
    clipped, same = take_step("clipped", max_norm=1e-3)
    assert resizer.norm() > 2e-3
    torch.testing.assert_close(clipped.norm(), torch.tensor(1e-3), rtol=1e-2, atol=0)
    torch.testing.assert_close(
        clipped, resizer * (1e-3 / resizer.norm()), rtol=1e-2, atol=1e-7
    )
    torch.testing.assert_close(same, backbone, rtol=0, atol=0)


def test_leaves_a_small_gradient(take_step):
    resizer, _ = take_step("free")
    same, _ = take_step("loose", max_norm=1e6)
    torch.testing.assert_close(same, resizer, rtol=0, atol=0)


def test_baseline_has_nothing_to_clip(take_step):
    resizer, backbone = take_step("baseline", "bilinearx4", max_norm=1e-3)
    assert resizer.numel() == 0
    assert backbone.norm() > 1e-3


@pytest.mark.parametrize("max_norm", [0, -1.0])
def test_refuses(max_norm):
    with pytest.raises(InputError, match="max_norm must be a positive number, got"):
        ClipResizerGradHook(max_norm)
