import re
import shutil

import pytest
import torch
from mmengine.config import Config
from mmengine.hub import get_config

from mmresizer.apis import train_model
from mmresizer.config.loading import load_config
from mmresizer.utils import InputError

FLOWERS = "mmresizer::flowers/resizerx4_resnet18_1xb32_flowers12_56px.py"


def weights(path):
    return torch.load(path, weights_only=False)["state_dict"]


def error(output):
    """The one sentence that a run ends with."""
    lines = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, output
    assert "Traceback" not in output
    return lines[0]


@pytest.fixture
def flowers_config(tmp_path, image_folder):
    cfg = get_config(FLOWERS)
    cfg.merge_from_dict(
        {
            "model.backbone": dict(base_channels=8, stem_channels=8),
            "model.head.in_channels": 64,
            "model.head.num_classes": 2,
            "train_dataloader.dataset.data_root": str(image_folder),
            "val_dataloader.dataset.data_root": str(image_folder),
            "test_dataloader.dataset.data_root": str(image_folder),
            "train_dataloader.batch_size": 4,
            "train_dataloader.num_workers": 1,
            "train_cfg.max_epochs": 1,
        }
    )
    cfg.dump(tmp_path / "flowers.py")
    return tmp_path / "flowers.py"


@pytest.mark.slow
def test_trains_and_resumes(run_tool, demo_config, tmp_path):
    """The validation behind a checkpoint is repeated, as it may not have ended."""
    config = demo_config(**{"train_cfg.max_epochs": 3})
    status, output = run_tool("train.py", config, "--work-dir", tmp_path / "a")
    assert status == 0, output
    assert "Epoch(val) [3]" in output

    options = ["--cfg-options", "train_cfg.max_epochs=2"]
    status, output = run_tool(
        "train.py", config, "--work-dir", tmp_path / "b", *options
    )
    assert status == 0, output
    status, output = run_tool(
        "train.py", config, "--work-dir", tmp_path / "b", "--resume"
    )
    assert status == 0, output
    assert "Epoch(val) [3]" in output
    assert "Epoch(val) [2]" in output
    assert "Epoch(val) [1]" not in output

    status, output = run_tool(
        "train.py", config, "--work-dir", tmp_path / "c", "--resume",
        tmp_path / "b" / "epoch_2.pth",
    )  # fmt: skip
    assert status == 0, output
    for folder in "bc":
        last = torch.load(tmp_path / folder / "epoch_3.pth", weights_only=False)
        assert last["meta"]["epoch"] == 3
        assert last["meta"]["iter"] == 12
        assert last["message_hub"]


@pytest.mark.slow
def test_seed_makes_runs_equal(run_tool, demo_config, tmp_path):
    config = demo_config(**{"train_cfg.max_epochs": 1})
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        status, output = run_tool(
            "train.py", config, "--work-dir", tmp_path / folder,
            "--seed", seed, "--deterministic",
        )  # fmt: skip
        assert status == 0, output
    a, b, c = (weights(tmp_path / folder / "epoch_1.pth") for folder in "abc")
    for name, value in a.items():
        torch.testing.assert_close(value, b[name], rtol=0, atol=0)
    assert (a["resizer.out.weight"] - c["resizer.out.weight"]).abs().max() > 1e-3


def test_auto_scale_lr(run_tool, demo_config, tmp_path):
    """A batch of 8 for a rate that was set at 32: a quarter of it."""
    config = demo_config(
        param_scheduler=None, **{"train_cfg.max_epochs": 1, "val_cfg": None}
    )
    status, output = run_tool(
        "train.py", config, "--auto-scale-lr", "--no-validate",
        "--work-dir", tmp_path / "run",
    )  # fmt: skip
    assert status == 0, output
    assert "Epoch(val)" not in output
    saved = torch.load(tmp_path / "run" / "epoch_1.pth", weights_only=False)
    assert saved["optimizer"]["param_groups"][0]["lr"] == pytest.approx(2e-3 / 4)


def test_default_work_dir_and_hook(run_tool, demo_config, tmp_path):
    config = demo_config(**{"train_cfg.max_epochs": 1})
    status, output = run_tool("train.py", config, cwd=tmp_path)
    assert status == 0, output
    work_dir = tmp_path / "work_dirs" / "config"
    assert (work_dir / "epoch_1.pth").is_file()
    # The visualization hook has drawn the first validation.
    assert len(list(work_dir.glob("*/vis_data/vis_image/resizer_1.png"))) == 1


def test_loads_plain_weights(run_tool, demo_config, save_weights, tmp_path):
    config = demo_config(**{"train_cfg.max_epochs": 1})
    model_cfg = Config.fromfile(config).model.to_dict()
    model_cfg.pop("resizer")
    model_cfg["backbone"]["type"] = "mmpretrain.ResNet_CIFAR"
    for part in ("neck", "head"):
        model_cfg[part]["type"] = f"mmpretrain.{model_cfg[part]['type']}"
    model_cfg["type"] = "mmpretrain.ImageClassifier"
    _, path = save_weights(model_cfg)
    status, output = run_tool(
        "train.py", config, "--work-dir", tmp_path / "run",
        "--cfg-options", f"load_from={path}", "optim_wrapper.optimizer.lr=0",
        "param_scheduler=None",
    )  # fmt: skip
    assert status == 0, output
    assert "no weights for 17 of the resizer's 17 parameter tensors" in output
    trained = weights(tmp_path / "run" / "epoch_1.pth")
    for name, value in weights(path).items():
        if "weight" in name:
            torch.testing.assert_close(trained[name], value, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"model.resizer.output_size": 0}, "output_size must be a positive int.*got 0"),
        ({"model.resizer.output_size": -4}, "output_size must be .* int.*got -4"),
        ({"model.resizer.output_size": 9.5}, "output_size must be a positive int.*9.5"),
        ({"model.resizer.output_size": None}, "exactly one of output_size and scale_"),
        ({"model.resizer.scale_factor": 0.5}, "exactly one of output_size and scale_"),
        (
            {"model.resizer.interpolation": "cubic"},
            "interpolation must be one of.*'cubic'",
        ),
        (
            {"model.resizer.interpolation": "nearest", "model.resizer.antialias": True},
            "antialias=True needs interpolation bilinear or bicubic.*'nearest'",
        ),
        (
            {"model.resizer.in_channels": 1},
            "in_channels=1, but got images of 3 channels",
        ),
        (
            {"model.resizer.output_size": None, "model.resizer.scale_factor": 0.01},
            "96x96 pixels.*too small",
        ),
        ({"train_dataloader.dataset.split": "test"}, "split must be one of train, val"),
        ({"model": None}, "has no `model`"),
        (
            {"model.resizer.size": 9},
            "cannot build the model.*unexpected keyword.*'size'",
        ),
        ({"model.resizer.type": "Resizer"}, "cannot build the model.*Resizer"),
        (
            {"optim_wrapper.optimizer.type": "AdamX"},
            "cannot build the optimizer .*'AdamX' is no opt",
        ),
        ({"train_cfg.max_epoch": 1}, "cannot build the training loop.*'max_epoch'"),
        ({"train_dataloader.dataset.num_sample": 1}, "cannot build .*'num_sample'"),
        ({"model.head.num_classes": 5}, "has 8 classes .*num_classes is 5"),
        (
            {"model.resizer.antialias": "maybe"},
            "antialias must be True or False.*'maybe'",
        ),
        ({"train_dataloader": None}, "has no `train_dataloader`"),
        ({"load_from": "absent.pth"}, "'absent.pth' does not exist"),
        (
            {"param_scheduler": [dict(type="CosineLR")]},
            "cannot build param_scheduler .*'CosineLR is not in",
        ),
        (
            {"param_scheduler": [dict(type="StepLR", step=2)]},
            "cannot build param_scheduler .*unexpected keyword argument 'step'",
        ),
        (
            {"default_hooks.checkpoint": dict(type="CheckpointHook", intervall=2)},
            "CheckpointHook has an unknown key 'intervall'; accepted are .*interval,",
        ),
        (
            {"optim_wrapper.clip_grad": dict(max=1)},
            "clip_grad has an unknown key 'max'; accepted are max_norm",
        ),
        (
            {"val_evaluator": dict(type="Accuracy", topk=(1, 9))},
            "topk of the metric Accuracy must be at most .* classes, 8, got 9",
        ),
        (
            {"model.head.cal_acc": True, "model.head.topk": (1, 10)},
            "topk of model.head must be at most the number of classes, 8, got 10",
        ),
        (
            {"train_dataloader.batch_size": 64, "train_dataloader.drop_last": True},
            "has 32 images per process or fewer, which is no batch of 64 with drop",
        ),
        ({"train_cfg.val_interval": 0}, "val_interval must be an int of 1 or more"),
    ],
)
def test_refuses_configs(demo_config, tmp_path, options, sentence):
    cfg = load_config(str(demo_config()), options)
    cfg.work_dir = str(tmp_path / "run")
    with pytest.raises(InputError, match=sentence) as e:
        train_model(cfg)
    assert "\n" not in str(e.value)
    assert not list(tmp_path.glob("run/*.pth"))


def test_an_error_is_one_sentence(run_tool, demo_config, tmp_path):
    status, output = run_tool(
        "train.py", demo_config(), "--work-dir", tmp_path / "run",
        "--cfg-options", "model.resizer.output_size=0",
    )  # fmt: skip
    assert status == 1
    assert re.search("output_size must be a positive int.*got 0", error(output))


@pytest.mark.parametrize(
    "dtype", [pytest.param("float16", marks=pytest.mark.gpu), "bfloat16"]
)
def test_mixed_precision(run_tool, demo_config, tmp_path, dtype):
    """The losses of the first steps are those of float32, within the precision."""
    config = demo_config(**{"default_hooks.logger.interval": 1})
    losses = []
    for name, arguments in (("float32", []), (dtype, ["--amp", dtype])):
        status, output = run_tool(
            "train.py", config, "--work-dir", tmp_path / name, *arguments
        )
        assert status == 0, output
        losses.append(float(re.search(r"loss: ([\d.]+)", output)[1]))
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    trained = load_config(str(tmp_path / dtype / config.name)).optim_wrapper
    wrappers = dict(
        float16=dict(type="AmpOptimWrapper", dtype="float16", loss_scale="dynamic"),
        bfloat16=dict(type="mmresizer.BFloat16OptimWrapper"),
    )
    assert {k: v for k, v in trained.items() if k != "optimizer"} == wrappers[dtype]
    saved = torch.load(tmp_path / dtype / "epoch_2.pth", weights_only=False)
    assert all(v.isfinite().all() for v in saved["state_dict"].values())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--resume"], "nothing to resume: .*run' has no checkpoint"),
        (["--resume", "absent.pth"], "'absent.pth' does not exist"),
        (["--amp"], "AMP .* needs a CUDA device"),
        (["--launcher", "mpi"], "--launcher mpi needs CUDA devices"),
        (["--launcher", "pytorch"], "torchrun starts, .* but RANK is not set"),
        (["--launcher", "slurm"], "srun starts, .* but SLURM_STEP_NODELIST is not"),
    ],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without CUDA")
def test_refuses_arguments(run_tool, demo_config, tmp_path, arguments, sentence):
    status, output = run_tool(
        "train.py", demo_config(), "--work-dir", tmp_path / "run", *arguments
    )
    assert status == 1
    assert re.search(sentence, error(output)), output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "the config .* does not exist"),
        ("model = dict(", "cannot read the config .*SyntaxError"),
        ("_base_ = ['mmresizer::flowers/absent.py']", "cannot read .*absent.py"),
        ("a = 1", "has no `model`"),
    ],
)
def test_refuses_config_files(tmp_path, text, sentence):
    if text is not None:
        (tmp_path / "config.py").write_text(text)
    with pytest.raises(InputError, match=sentence) as e:
        train_model(load_config(str(tmp_path / "config.py")))
    assert "\n" not in str(e.value)


def test_refuses_config_options(run_tool, demo_config):
    status, output = run_tool("train.py", demo_config(), "--cfg-options", "seed")
    assert status == 2
    assert output.splitlines()[-1] == (
        "train.py: error: --cfg-options must be key=value pairs without white space, "
        "but got ['seed']"
    )


def test_debug_shows_the_traceback(run_tool):
    status, output = run_tool("train.py", "absent.py", env={"MMRESIZER_DEBUG": "1"})
    assert status == 1
    assert "Traceback" in output


def test_names_a_truncated_image(run_tool, flowers_config, image_folder, tmp_path):
    path = image_folder / "train" / "iris" / "image_0002.jpg"
    path.write_bytes(path.read_bytes()[:-300])
    status, output = run_tool(
        "train.py", flowers_config, "--work-dir", tmp_path / "run"
    )
    assert status == 1
    assert str(path) in error(output)
    assert "complete image file" in error(output)


@pytest.mark.parametrize("state", ["does not exist", "is empty"])
def test_refuses_a_data_folder(run_tool, flowers_config, tmp_path, state):
    folder = tmp_path / "other"
    if state == "is empty":
        (folder / "train").mkdir(parents=True)
        folder /= "train"
    status, output = run_tool(
        "train.py", flowers_config, "--work-dir", tmp_path / "run",
        "--cfg-options", f"train_dataloader.dataset.data_root={tmp_path / 'other'}",
    )  # fmt: skip
    assert status == 1
    assert f"the folder '{folder}' of train_dataloader {state}" in error(output)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("split", ["train", "val"])
def test_refuses_splits_of_different_classes(
    run_tool, flowers_config, image_folder, tmp_path, split
):
    """A stray folder is a class, which shifts the labels of those behind it."""
    source = image_folder / split / "iris"
    shutil.copytree(source, image_folder / split / "copy of iris")
    status, output = run_tool(
        "train.py", flowers_config, "--work-dir", tmp_path / "run",
        "--cfg-options", "model.head.num_classes=3",
    )  # fmt: skip
    assert status == 1
    assert re.search(
        r"must hold the same classes, but 'copy of iris' is in one of them only",
        error(output),
    ), output


def test_refuses_a_missing_class(run_tool, flowers_config, image_folder, tmp_path):
    """In both splits, so that they agree, but not with the head."""
    status, output = run_tool(
        "train.py", flowers_config, "--work-dir", tmp_path / "run",
        "--cfg-options", "model.head.num_classes=3",
    )  # fmt: skip
    assert status == 1
    assert re.search(
        r"must hold one folder for each of the 3 classes .*holds 2: daisy, iris",
        error(output),
    ), output


def test_refuses_another_task(run_tool, demo_config, tmp_path):
    config = demo_config(**{"model": dict(type="SimCLR", _delete_=True)})
    status, output = run_tool("train.py", config, "--work-dir", tmp_path / "run")
    assert status == 1
    assert re.search(
        r"must be an image classifier, a ResizerDetector or .*, .*type 'SimCLR'",
        error(output),
    )


def test_passes_over_stray_files(run_tool, flowers_config, image_folder, tmp_path):
    (image_folder / "train" / "iris" / "Thumbs.db").write_bytes(b"stray")
    (image_folder / "train" / "notes.txt").write_text("stray")
    status, output = run_tool(
        "train.py", flowers_config, "--work-dir", tmp_path / "run"
    )
    assert status == 0, output


def test_refuses_a_size_that_the_backbone_refuses(run_tool, demo_config, tmp_path):
    """Swin's windows of 7 do not fit the last maps of 24 px."""
    backbone = dict(type="SwinTransformer", arch="tiny", _delete_=True)
    config = demo_config(
        **{
            "model.backbone": dict(backbone, _delete_=True),
            "model.head.in_channels": 768,
        }
    )
    status, output = run_tool("train.py", config, "--work-dir", tmp_path / "run")
    assert status == 1
    assert re.search(
        r"config\.py: ResizerClassifier does not take an image of 96x96 .*window",
        error(output),
    ), output
    assert not (tmp_path / "run").exists()
