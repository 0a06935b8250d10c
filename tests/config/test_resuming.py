import re

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmresizer.apis import train_model
from mmresizer.config.loading import load_config
from mmresizer.config.resuming import check_resume, load_last_checkpoint, resume_seed
from mmresizer.utils import InputError


def test_resume():
    model = nn.Linear(2, 3)
    with pytest.raises(
        InputError, match=r"no training checkpoint \(no message_hub, opt"
    ):
        check_resume(
            model, "weights.pth", {"state_dict": model.state_dict(), "meta": {}}
        )


def test_the_seed_is_kept(log):
    checkpoint = {"meta": {"seed": 7}}
    cfg = Config(dict())
    resume_seed(cfg, checkpoint)
    assert cfg.randomness.seed == 7
    resume_seed(cfg, checkpoint)
    assert not log
    cfg.randomness.seed = 8
    resume_seed(cfg, checkpoint)
    assert cfg.randomness.seed == 7
    assert "keeps its seed, 7; 8 is not taken" in log[-1]


def save(path, value=0):
    torch.save({"state_dict": {"w": torch.full((9,), float(value))}}, path)


def test_last_checkpoint(tmp_path):
    with pytest.raises(InputError, match=r"nothing to resume.*has no checkpoint"):
        load_last_checkpoint(str(tmp_path))
    (tmp_path / "last_checkpoint").write_text("elsewhere/epoch_3.pth")
    with pytest.raises(
        InputError, match=r"'elsewhere/epoch_3.pth', named in .* is gone"
    ):
        load_last_checkpoint(str(tmp_path))
    # The folder was moved: the file lies beside its record.
    save(tmp_path / "epoch_3.pth", 3)
    path, checkpoint = load_last_checkpoint(str(tmp_path))
    assert path == str(tmp_path / "epoch_3.pth")
    assert checkpoint["state_dict"]["w"][0] == 3


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_checkpoint(damage, tmp_path, log):
    """The one before it, of those that are complete."""
    for number in (2, 9, 10, 11):
        save(tmp_path / f"epoch_{number}.pth", number)
    save(tmp_path / "epoch_10_iter_110.pth")
    (tmp_path / "epoch_9_iter_95.pth").touch()
    save(tmp_path / "iter_5.pth")
    last = tmp_path / "epoch_10.pth"
    (tmp_path / "last_checkpoint").write_text(str(last))
    content = bytearray(last.read_bytes())
    middle = len(content) // 2
    if damage == "cut":
        del content[middle:]
    elif damage == "flipped":
        content[content.index(torch.full((9,), 10.0).numpy().tobytes())] ^= 1
    elif damage == "empty":
        content.clear()
    last.write_bytes(content)
    (tmp_path / "epoch_9.pth").write_bytes(b"PK")
    path, checkpoint = load_last_checkpoint(str(tmp_path))
    assert path == str(tmp_path / "epoch_2.pth")
    assert checkpoint["state_dict"]["w"][0] == 2
    assert re.search(
        r"epoch_10.pth'.*, and so are 2 before it; the run goes on from "
        r".*epoch_2.pth' instead",
        log[-1],
    )
    (tmp_path / "epoch_2.pth").unlink()
    with pytest.raises(InputError, match=r"nothing to resume: .*10.pth.* 2 before it"):
        load_last_checkpoint(str(tmp_path))


def test_a_run_that_was_killed_before_it_noted_a_checkpoint(tmp_path, log):
    """Of those that there are, the latest one."""
    for name in ("epoch_1", "epoch_3", "epoch_3_iter_14", "iter_99"):
        save(tmp_path / f"{name}.pth")
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "epoch_2.pth"))
    path, _ = load_last_checkpoint(str(tmp_path))
    assert path == str(tmp_path / "epoch_3_iter_14.pth")
    assert re.search(r"epoch_2.pth'.* is gone; the run goes on from", log[-1])


def test_checkpoints_in_another_folder(tmp_path):
    """As `out_dir` of CheckpointHook has them."""
    (tmp_path / "run").mkdir()
    (tmp_path / "out").mkdir()
    save(tmp_path / "out" / "epoch_1.pth")
    (tmp_path / "out" / "epoch_2.pth").touch()
    record = tmp_path / "run" / "last_checkpoint"
    record.write_text(str(tmp_path / "out" / "epoch_2.pth"))
    path, _ = load_last_checkpoint(str(tmp_path / "run"))
    assert path == str(tmp_path / "out" / "epoch_1.pth")


def test_a_record_that_was_cut_off(tmp_path):
    save(tmp_path / "iter_20.pth")
    save(tmp_path / "best_accuracy.pth")
    for _ in range(2):
        assert load_last_checkpoint(str(tmp_path))[0] == str(tmp_path / "iter_20.pth")
        (tmp_path / "last_checkpoint").touch()


def test_checkpoints_of_other_runs_are_none(tmp_path):
    save(tmp_path / "epoch_1.pth")
    with pytest.raises(InputError, match="has no checkpoint"):
        load_last_checkpoint(str(tmp_path / "new"))


def test_a_copied_run(tmp_path):
    """Its record names the file of the first one, which may have gone on since."""
    for name in ("first", "copy"):
        (tmp_path / name).mkdir()
        save(tmp_path / name / "epoch_1.pth")
        record = tmp_path / name / "last_checkpoint"
        record.write_text(str(tmp_path / "first" / "epoch_1.pth"))
        path, _ = load_last_checkpoint(str(tmp_path / name))
        assert path == str(tmp_path / name / "epoch_1.pth")


def test_a_resumed_run_has_the_schedule_it_began_with(demo_config, tmp_path):
    """mmengine would take the checkpoint's settings, whatever the config says."""
    cosine = dict(type="CosineAnnealingLR", T_max=2, end=2)
    config = demo_config(
        param_scheduler=[cosine],
        custom_hooks=None,
        **{"train_cfg.max_epochs": 1, "train_dataloader.dataset.num_samples": 8},
    )

    def train(resume=True, **changes):
        cfg = load_config(str(config), changes)
        cfg.work_dir = str(tmp_path / "run")
        cfg.resume, cfg.load_from = resume, None
        train_model(cfg)

    train(resume=False)
    train()
    *_, log = sorted((tmp_path / "run").glob("*/*.log"))
    assert re.search(
        "Nothing is left to train: the checkpoint is of epoch 1, and .*max_epochs is 1",
        log.read_text(),
    )
    longer = {"train_cfg.max_epochs": 2}
    for changes, sentence in [
        (
            {"param_scheduler": [dict(type="MultiStepLR", milestones=[1], end=2)]},
            "schedulers of another type than the config's MultiStepLR",
        ),
        (
            {"optim_wrapper.optimizer": dict(type="SGD", lr=0.002)},
            "groups of parameters of another type than the config's",
        ),
        (
            {"custom_hooks": [dict(type="mmresizer.ResizerOptimizerHook")]},
            "resizer's own optimizer was none when .*'lr': '0.001'",
        ),
        (
            {"param_scheduler.0.T_max": 4},
            "^T_max of CosineAnnealingLR was 2 .* is 4 in",
        ),
        (
            {"param_scheduler.0.end": 4},
            r"^end of .* \(max_epochs, .*\) was 2 .* is 4 in",
        ),
        (
            {"param_scheduler": [cosine] * 2},
            "has 1 schedulers, the config 2",
        ),
        ({"optim_wrapper.optimizer.lr": 1.0}, r"base_values of .* and is \[1.0\] in"),
        ({"optim_wrapper.optimizer.weight_decay": 0.5}, "weight_decay of .* is 0.5 in"),
        (
            {"optim_wrapper.paramwise_cfg": dict(norm_decay_mult=0.5)},
            "checkpoint has 1 groups of parameters, the config",
        ),
    ]:
        with pytest.raises(InputError, match=sentence):
            train(**longer, **changes)
    train(**longer)
    last = torch.load(tmp_path / "run" / "epoch_2.pth", weights_only=False)
    # The middle of half a cosine, from the optimizer's 0.002 to 0.
    (group,) = last["optimizer"]["param_groups"]
    assert group["lr"] == pytest.approx(0.001)
    assert last["meta"]["epoch"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"auto_scale_lr": dict(enable=True, base_batch_size=2), "param_scheduler": []},
        {
            "optim_wrapper.optimizer": dict(type="AdamW", lr=1e-3, betas=(0.8, 0.9)),
            "param_scheduler": [dict(type="CosineAnnealingMomentum", T_max=4, end=4)],
        },
        {
            "train_cfg": dict(type="IterBasedTrainLoop", max_iters=1, val_interval=1),
            "default_hooks.checkpoint": dict(
                type="CheckpointHook", interval=1, by_epoch=False
            ),
            "param_scheduler": [
                dict(type="LinearLR", start_factor=0.1, end=4, by_epoch=False),
                dict(type="CosineAnnealingLR", T_max=4, end=4, by_epoch=False),
            ],
        },
        {
            "param_scheduler": [
                dict(type="ReduceOnPlateauLR", monitor="accuracy/top1", end=4)
            ]
        },
        {"optim_wrapper.paramwise_cfg": dict(norm_decay_mult=0.0)},
    ],
    ids=["scaled", "momentum", "iterations", "plateau", "groups"],
)
def test_resumes_what_is_unchanged(changes, demo_config, tmp_path):
    config = demo_config(custom_hooks=None, **{"train_cfg.max_epochs": 1})
    for end, resume in ((1, False), (2, True)):
        cfg = load_config(str(config))
        for name, value in {"param_scheduler": [], **changes}.items():
            *path, last = name.split(".")
            node = cfg
            for part in path:
                node = node[part]
            node[last] = value
        for limit in {"max_epochs", "max_iters"} & cfg.train_cfg.keys():
            cfg.train_cfg[limit] = end
        cfg.train_dataloader.dataset.num_samples = 8
        cfg.work_dir = str(tmp_path / "run")
        cfg.resume, cfg.load_from = resume, None
        train_model(cfg)
    assert list((tmp_path / "run").glob("*_2.pth"))


@pytest.mark.slow
def test_the_resizer_s_own_optimizer_stays(demo_config, tmp_path):
    def train(resume, **settings):
        hook = dict(type="mmresizer.ResizerOptimizerHook", **settings)
        cfg = load_config(str(config), {"custom_hooks": [hook] if settings else []})
        cfg.train_cfg.max_epochs = 2 if resume else 1
        cfg.work_dir = str(tmp_path / "run")
        cfg.resume, cfg.load_from = resume, None
        train_model(cfg)

    config = demo_config(
        param_scheduler=[], **{"train_dataloader.dataset.num_samples": 8}
    )
    train(False, lr=1e-3)
    for settings in (dict(lr=1e-2), dict(lr=1e-3, weight_decay=0.5), {}):
        with pytest.raises(InputError, match=r"resizer's own optimizer was \{'type': "):
            train(True, **settings)
    train(True, lr=1e-3)
    assert (tmp_path / "run" / "epoch_2.pth").is_file()
