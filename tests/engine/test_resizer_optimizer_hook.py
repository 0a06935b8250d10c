import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from mmresizer.apis import train_model
from mmresizer.engine import ResizerOptimizerHook
from mmresizer.registry import HOOKS
from mmresizer.utils import InputError


@HOOKS.register_module()
class RememberGradients(Hook):
    """Keeps the weights before training and the gradient and rate of each step."""

    priority = "VERY_HIGH"

    def before_train(self, runner):
        steps = RememberGradients.steps = []
        optimizer = runner.optim_wrapper.optimizer
        parameters = dict(runner.model.named_parameters())
        RememberGradients.start = {n: p.detach().clone() for n, p in parameters.items()}

        def remember(*_):
            grads = {n: p.grad.clone() for n, p in parameters.items()}
            steps.append((optimizer.param_groups[0]["lr"], grads))

        optimizer.register_step_pre_hook(remember)


@HOOKS.register_module()
class RememberEachStep(Hook):
    """Keeps all weights and statistics after each step."""

    def before_train(self, runner):
        RememberEachStep.steps = []

    def after_train_iter(self, runner, *args, **kwargs):
        state = runner.model.state_dict()
        RememberEachStep.steps.append({n: v.clone() for n, v in state.items()})


@pytest.fixture
def train(demo_config, tmp_path):
    def train(name, prefix="resizerx4", hook=None, **options):
        hooks = [dict(type="mmresizer.RememberGradients")]
        if hook is not None:
            hooks.append(dict(type="mmresizer.ResizerOptimizerHook", **hook))
        cfg = Config.fromfile(
            demo_config(
                prefix,
                name=f"{name}.py",
                **{
                    "optim_wrapper.optimizer": dict(type="SGD", lr=0.1, _delete_=True),
                    "optim_wrapper.clip_grad": None,
                    "param_scheduler": [
                        dict(type="LinearLR", start_factor=0.25, by_epoch=False, end=6)
                    ],
                    "custom_hooks": hooks,
                    **options,
                },
            )
        )
        cfg.launcher = "none"
        cfg.work_dir = str(tmp_path / name)
        cfg.experiment_name = f"own_{name}_{tmp_path.name}"
        return train_model(cfg)

    return train


def replay(parameters, steps, scale, make, max_norm=float("inf")):
    """Applies an optimizer of torch to clipped gradients; returns the weights."""
    parameters = {n: p.clone().requires_grad_() for n, p in parameters.items()}
    optimizer = make(list(parameters.values()))
    for rate, gradients in steps:
        optimizer.param_groups[0]["lr"] = rate * scale
        for name, parameter in parameters.items():
            parameter.grad = gradients[name].clone()
        torch.nn.utils.clip_grad_norm_(list(parameters.values()), max_norm)
        optimizer.step()
    return parameters


@pytest.mark.parametrize("max_norm", [float("inf"), 0.1])
def test_steps_are_those_of_torch(train, max_norm):
    """AdamW for the resizer, SGD for the rest, both on the same schedule.

    Only the gradient of the rest is clipped.
    """
    clip = {} if max_norm == float("inf") else dict(max_norm=max_norm)
    options = {"optim_wrapper.clip_grad": clip or None}
    model = train("own", hook=dict(lr=2e-3, betas=(0.8, 0.99)), **options)
    steps = RememberGradients.steps
    assert len(steps) == 8
    assert steps[0][0] < steps[-1][0]
    if clip:  # what is replayed below was not clipped before
        norms = [
            torch.cat([g.flatten() for g in grads.values()]).norm()
            for _, grads in steps
        ]
        assert min(norms) > max_norm
    weights = dict(model.named_parameters())
    parts = {True: {}, False: {}}
    for name, value in RememberGradients.start.items():
        parts[name.startswith("resizer.")][name] = value
    expected = {
        **replay(
            parts[True],
            steps,
            2e-3 / 0.1,
            lambda p: torch.optim.AdamW(p, betas=(0.8, 0.99), weight_decay=0),
        ),
        **replay(parts[False], steps, 1.0, lambda p: torch.optim.SGD(p), max_norm),
    }
    assert len(parts[True]) == 17
    for name, value in expected.items():
        torch.testing.assert_close(weights[name].data, value.data)


def test_resume_goes_on_with_its_state(train, tmp_path):
    whole = copy.deepcopy(train("whole", hook=dict()).state_dict())
    train("part", hook=dict(), **{"train_cfg.max_epochs": 1})
    checkpoint = tmp_path / "part" / "epoch_1.pth"
    state = torch.load(checkpoint, weights_only=False)["resizer_optimizer"]
    assert len(state["state"]) == 17
    resumed = train(
        "part", hook=dict(), resume=True, load_from=str(checkpoint)
    ).state_dict()
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0)


def test_baseline_has_no_such_parameters(train):
    plain = copy.deepcopy(train("plain", "bilinearx4").state_dict())
    same = train("same", "bilinearx4", hook=dict()).state_dict()
    for name, value in plain.items():
        torch.testing.assert_close(same[name], value, rtol=0, atol=0)


@pytest.mark.parametrize("prefix", ["resizerx4", "bilinearx4"])
def test_averaged_recipe_saves_the_average(train, tmp_path, prefix):
    recipe = "mmresizer::_base_/schedules/resizer_adamw_averaged.py"
    (tmp_path / "recipe.py").write_text(f"_base_ = [{recipe!r}]")
    hooks = Config.fromfile(tmp_path / "recipe.py").custom_hooks
    train("run", prefix, custom_hooks=[dict(type="mmresizer.RememberEachStep"), *hooks])
    first, *steps = RememberEachStep.steps
    assert len(steps) > 2
    saved = torch.load(tmp_path / "run" / "epoch_2.pth", weights_only=False)
    for name, value in saved["state_dict"].items():
        if not value.is_floating_point():  # a counter of batch norms
            continue
        average = first[name]
        for step in steps:
            average = 0.95 * average + 0.05 * step[name]
        torch.testing.assert_close(value, average, msg=name)
        assert not value.equal(steps[-1][name]), name


@pytest.mark.parametrize("lr", [0, -1e-3])
def test_refuses_rates(lr):
    with pytest.raises(InputError, match="lr must be a positive number, got"):
        ResizerOptimizerHook(lr=lr)


@pytest.mark.parametrize("options", [dict(type="Adan2"), dict(beta=0.9)])
def test_refuses_optimizers(options):
    with pytest.raises(InputError, match="cannot build the resizer's optimizer"):
        ResizerOptimizerHook(**options)
