import copy

import pytest
import torch
from mmengine.config import Config

from mmresizer.apis import train_model
from mmresizer.registry import DATASETS
from mmresizer.utils import InputError
from projects.search.hooks import RecomputeNormsHook


@pytest.fixture
def train(demo_config, tmp_path):
    def train(name, prefix="resizerx4", **hook):
        cfg = Config.fromfile(
            demo_config(
                prefix,
                name=f"{name}.py",
                **{
                    # One batch is all of the training set: its mean is the exact one.
                    "train_dataloader.batch_size": 32,
                    "optim_wrapper.optimizer.lr": 0.01,
                },
            )
        )
        cfg.launcher = "none"
        cfg.work_dir = str(tmp_path / name)
        cfg.experiment_name = f"norms_{name}_{tmp_path.name}"
        if hook:
            cfg.custom_hooks = [dict(type="mmresizer.RecomputeNormsHook", **hook)]
        return cfg, train_model(cfg.copy())

    return train


def stats(model, part):
    """All running means and variances of the resizer, or of the rest."""
    return {
        name: value.clone()
        for name, value in model.state_dict().items()
        if name.endswith(("running_mean", "running_var"))
        and name.startswith("resizer.") == (part == "resizer")
    }


def test_statistics_are_those_of_the_training_set(train):
    cfg, model = train("exact", part="resizer")
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch = [dataset[i] for i in range(len(dataset))]
    data = model.data_preprocessor({k: [b[k] for b in batch] for k in batch[0]}, False)
    norm = model.resizer.stem.norm
    x = data["inputs"]
    stem = model.resizer.stem
    with torch.no_grad():
        for layer in (stem.conv1, stem.act1, stem.conv2, stem.act2):
            x = layer(x)
    torch.testing.assert_close(
        norm.running_mean, x.mean((0, 2, 3)), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(norm.running_var, x.var((0, 2, 3)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("part", ["resizer", "rest", "all"])
def test_touches_the_statistics_of_its_part_alone(train, part):
    plain = copy.deepcopy(train("plain")[1])
    _, model = train(part, part=part)
    for name, value in plain.named_parameters():
        torch.testing.assert_close(model.get_parameter(name), value, rtol=0, atol=0)
    for other in ("resizer", "rest"):
        before, after = stats(plain, other), stats(model, other)
        same = all(torch.equal(before[name], after[name]) for name in before)
        assert before
        assert same == (part not in (other, "all"))


def test_baseline_without_norms_in_the_resizer(train):
    _, model = train("baseline", "bilinearx4", part="resizer")
    assert not stats(model, "resizer")


def test_refuses_less_than_a_batch(train):
    with pytest.raises(InputError, match="at least a batch of 32 images, but got 31"):
        train("few", num_samples=31)


@pytest.mark.parametrize("options", [dict(part="head"), dict(num_samples=0)])
def test_refuses(options):
    with pytest.raises(InputError, match="must be"):
        RecomputeNormsHook(**options)
