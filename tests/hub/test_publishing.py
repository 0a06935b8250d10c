import hashlib
import json
import shutil

import pytest
import torch
import yaml
from mmengine.config import Config

from conftest import ROOT
from mmresizer.apis import train_model
from mmresizer.hub.publishing import publish_model
from mmresizer.registry import MODELS
from mmresizer.utils import InputError

NAME = "resizerx4_resnet18-cifar-w16_1xb32_fine-textures_24px"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A repository with one config, and the work folder of its training."""
    root = tmp_path_factory.mktemp("zoo")
    family = root / "configs" / "fine_textures"
    family.mkdir(parents=True)
    cfg = Config.fromfile(ROOT / f"configs/fine_textures/{NAME}.py")
    cfg.merge_from_dict(
        {
            "train_dataloader.dataset.num_samples": 64,
            "val_dataloader.dataset.num_samples": 16,
            "train_dataloader.num_workers": 0,
            "val_dataloader.num_workers": 0,
            "train_cfg.max_epochs": 2,
        }
    )
    cfg.dump(family / f"{NAME}.py")
    entry = dict(Name=NAME, Metadata={"Training Data": "FineTextures"})
    meta = dict(Collections=[dict(Name="FineTextures")], Models=[entry])
    (family / "metafile.yml").write_text(yaml.safe_dump(meta))
    run = Config.fromfile(family / f"{NAME}.py")
    run.launcher = "none"
    run.work_dir = str(root / "run")
    run.randomness = dict(seed=3)
    run.custom_hooks = [dict(type="EMAHook")]
    run.default_hooks.pop("resizer")
    cfg.custom_hooks = run.custom_hooks
    cfg.dump(family / f"{NAME}.py")
    model = train_model(run)
    return root, model.eval()


@pytest.fixture
def zoo(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "zoo")
    return tmp_path / "zoo"


def publish(zoo, epoch=2, config=f"configs/fine_textures/{NAME}.py"):
    return publish_model(
        str(zoo / config), str(zoo / "run" / f"epoch_{epoch}.pth"), zoo, "a machine"
    )


def read_entry(zoo):
    file = zoo / "configs/fine_textures/metafile.yml"
    (entry,) = yaml.safe_load(file.read_text())["Models"]
    return entry


def test_publishes_weights_resizer_and_log(zoo):
    files = publish(zoo)
    assert set(files) == {"weights", "resizer", "log"}
    assert set((zoo / "checkpoints").iterdir()) == set(files.values())
    entry = read_entry(zoo)
    facts = entry["Metadata"]
    for kind, key in (("weights", "Weights"), ("resizer", "Resizer Weights")):
        digest = hashlib.sha256(files[kind].read_bytes()).hexdigest()
        assert files[kind].stem.endswith(digest[:8])
        assert facts[f"{key} SHA256"] == digest
        assert facts[f"{key} Size"] == files[kind].stat().st_size
    assert entry["Weights"] == f"checkpoints/{files['weights'].name}"
    assert facts["Trained"] == "2 epochs from random weights, seed 3"
    assert facts["Measured"].startswith("seed 3; a machine, torch 2")
    lines = [json.loads(line) for line in files["log"].read_text().splitlines()]
    (last,) = [line for line in lines if line.get("step") == 2 and "loss" not in line]
    accuracy = entry["Results"][0]["Metrics"]["Top 1 Accuracy"]
    assert accuracy == round(last["accuracy/top1"], 1)


def test_the_weights_are_those_of_the_run_and_nothing_else(zoo, trained):
    files = publish(zoo)
    published = torch.load(files["weights"], weights_only=True)
    assert set(published) == {"meta", "state_dict"}
    saved = torch.load(zoo / "run" / "epoch_2.pth", weights_only=False)
    assert {"ema_state_dict", "optimizer"} <= set(saved)
    assert set(published["state_dict"]) == set(saved["state_dict"])
    for name, value in published["state_dict"].items():
        assert torch.equal(value, saved["state_dict"][name])
    assert published["meta"]["seed"] == 3
    assert len(published["meta"]["dataset_meta"]["classes"]) == 8


def test_the_resizer_alone_starts_another_model(zoo, trained):
    files = publish(zoo)
    cfg = Config.fromfile(zoo / f"configs/fine_textures/{NAME}.py").model
    cfg.resizer.init_cfg = dict(type="Pretrained", checkpoint=str(files["resizer"]))
    other = MODELS.build(cfg)
    other.init_weights()
    whole = MODELS.build(cfg)
    weights = torch.load(files["weights"], weights_only=True)["state_dict"]
    whole.load_state_dict(weights)
    images = torch.randn(1, 3, 96, 96)
    expected = whole.eval().resizer(images)
    torch.testing.assert_close(other.eval().resizer(images), expected, rtol=0, atol=0)
    assert not torch.equal(other.head.fc.weight, whole.head.fc.weight)


def test_publishing_again_replaces(zoo):
    first = publish(zoo)
    kept = zoo / "checkpoints" / f"x{NAME}_20260101-00000000.pth"
    kept.touch()
    old = zoo / "checkpoints" / f"{NAME}_20260101-00000000.pth"
    old.touch()
    assert publish(zoo) == first
    assert set((zoo / "checkpoints").iterdir()) == {*first.values(), kept}


def change(zoo, **changes):
    file = zoo / f"configs/fine_textures/{NAME}.py"
    cfg = Config.fromfile(file)
    cfg.merge_from_dict(changes)
    cfg.dump(file)


def test_refuses_an_earlier_epoch(zoo):
    with pytest.raises(InputError, match=r"last epoch, 2, but is of epoch 1"):
        publish(zoo, epoch=1)
    assert not (zoo / "checkpoints").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optim_wrapper.optimizer.lr", 0.123),
        ("train_dataloader.batch_size", 7),
        ("train_cfg.max_epochs", 3),
    ],
)
def test_refuses_a_run_with_other_settings(zoo, key, value):
    change(zoo, **{key: value})
    with pytest.raises(InputError, match="was trained with other settings") as e:
        publish(zoo)
    assert str(value) in str(e.value)


def test_refuses_a_run_on_other_data(zoo):
    change(zoo, **{"train_dataloader.dataset.num_samples": 65})
    with pytest.raises(InputError, match=r"`train_dataloader\.dataset` is "):
        publish(zoo)


def test_data_may_lie_elsewhere(zoo):
    change(zoo, **{"train_dataloader.dataset.data_root": "elsewhere"})
    with pytest.raises(InputError) as e:  # FineTextures takes none: another complaint
        publish(zoo, epoch=1)
    assert "other settings" not in str(e.value)


def test_an_unknown_config_leaves_the_zoo_as_it_is(zoo):
    before = publish(zoo)
    file = zoo / "configs/fine_textures/metafile.yml"
    text = file.read_text()
    file.write_text(text.replace(f"Name: {NAME}", "Name: other"))
    old = zoo / "checkpoints" / f"{NAME}_20260101-00000000.pth"
    old.touch()
    with pytest.raises(InputError, match=f"must have an entry of {NAME}"):
        publish(zoo)
    assert set((zoo / "checkpoints").iterdir()) == {*before.values(), old}


def test_refuses_another_model(zoo):
    change(zoo, **{"model.resizer.mid_channels": 8})
    with pytest.raises(InputError, match="does not fit the model of the config"):
        publish(zoo)


def test_refuses_a_run_without_a_log(zoo):
    for file in (zoo / "run").rglob("scalars.json"):
        file.unlink()
    with pytest.raises(InputError, match=r"the log of the run.*is missing"):
        publish(zoo)


def test_refuses_weights_without_a_run(zoo):
    path = zoo / "run" / "epoch_2.pth"
    weights = torch.load(path, weights_only=False)["state_dict"]
    torch.save({"state_dict": weights}, path)
    with pytest.raises(InputError, match=r"its meta\.cfg is None"):
        publish(zoo)


def test_runs_no_code_of_the_notes(zoo, tmp_path):
    path = zoo / "run" / "epoch_2.pth"
    saved = torch.load(path, weights_only=False)
    saved["meta"]["cfg"] = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    torch.save(saved, path)
    with pytest.raises(InputError, match="other settings"):
        publish(zoo)
    assert not (tmp_path / "ran").exists()


def test_refuses_a_config_of_its_own(zoo):
    other = zoo / "mine.py"
    shutil.copy(zoo / f"configs/fine_textures/{NAME}.py", other)
    with pytest.raises(InputError, match="must be one of the zoo"):
        publish(zoo, config="mine.py")
