"""The probe: what it trains, and what it says of the results."""

import json
import re

import numpy as np
import pytest

from conftest import ROOT
from mmresizer.comparison.probe import (
    ProbeSize,
    explain_probe,
    find_full_size,
    make_probe,
)
from mmresizer.config.loading import load_config, load_named_config
from mmresizer.registry import DATASETS
from mmresizer.utils import InputError

DEMO = (
    ROOT
    / "configs/fine_textures/bilinearx4_resnet18-cifar-w16_1xb32_fine-textures_24px.py"
)
ARMS = ("antialiased", "bilinear", "learned", "full size")


@pytest.fixture
def cfg():
    return load_config(str(DEMO))


def test_arms(cfg):
    """The data of the config, four small models, nothing else."""
    size = ProbeSize(images=5000, epochs=7, seeds=4)
    spec, chance = make_probe(cfg, "mine", size=size)
    assert chance == 12.5  # the classes alternate
    assert (spec.name, spec.seeds) == ("mine", [0, 1, 2, 3])
    assert tuple(arm.name for arm in spec.arms) == ARMS
    assert [arm.baseline for arm in spec.arms] == [True, True, False, True]
    assert {arm.input_size for arm in spec.arms} == {(96, 96)}
    assert [arm.output_size for arm in spec.arms] == [(24, 24)] * 3 + [(96, 96)]
    resizers = [arm.cfg.model.resizer for arm in spec.arms]
    assert [r.antialias for r in resizers] == [True, False, True, True]
    backbones = [arm.cfg.model.backbone.type for arm in spec.arms]
    assert backbones == ["mmpretrain.ResNet_CIFAR"] * 3 + ["mmpretrain.ResNet"]
    for arm in spec.arms:
        assert arm.cfg.model.head.num_classes == 8
        assert arm.cfg.train_cfg.max_epochs == 7
        assert arm.cfg.optim_wrapper.optimizer.type == "SGD"  # the config has AdamW
        for name in ("train_dataloader", "val_dataloader"):
            assert arm.cfg[name].dataset == cfg[name].dataset


def test_draws_the_same_images_for_all(cfg):
    size = ProbeSize(images=100)
    specs = [make_probe(cfg, "mine", size=size).spec for _ in range(2)]
    for name, number in (("train_dataloader", 1600), ("val_dataloader", 400)):
        (drawn,) = {
            tuple(arm.cfg[name].dataset.indices) for s in specs for arm in s.arms
        }
        assert len(drawn) == len(set(drawn)) == 100
        assert set(drawn) <= set(range(number))
        # Not the first hundred, and not of some classes alone.
        assert max(drawn) > number // 2
        dataset = DATASETS.build(specs[0].arms[0].cfg[name].dataset)
        assert len(dataset) == 100
        labels = dataset.get_gt_labels()
        assert labels.tolist() == [i % 8 for i in drawn]
        assert len(np.unique(labels)) == 8


def test_draws_from_the_images_that_the_config_chose(cfg):
    chosen = list(range(10, 60))
    # The first so many, the last so many, or those of a list.
    for indices, known in ((30, range(30)), (-30, range(1570, 1600)), (chosen, chosen)):
        cfg.train_dataloader.dataset.indices = indices
        (arm, *_) = make_probe(cfg, "mine", size=ProbeSize(images=20)).spec.arms
        drawn = arm.cfg.train_dataloader.dataset.indices
        assert len(drawn) == 20
        assert set(drawn) <= set(known)
        (arm, *_) = make_probe(cfg, "mine", size=ProbeSize(images=5000)).spec.arms
        assert set(arm.cfg.train_dataloader.dataset.indices) == set(known)


def test_plain_config_needs_an_output_size(cfg):
    del cfg.model.resizer
    cfg.model.type = "ImageClassifier"
    with pytest.raises(InputError, match=r"no resizer .* give --output-size$"):
        make_probe(cfg, "mine")
    (arm, *_) = make_probe(cfg, "mine", (12, 16)).spec.arms
    assert arm.output_size == (12, 16)


def test_keeps_the_imports_of_the_data(cfg):
    cfg.custom_imports = dict(imports=["json"], allow_failed_imports=False)
    for arm in make_probe(cfg, "mine").spec.arms:
        assert arm.cfg.custom_imports.imports == ["mmresizer", "json"]


def test_refuses_labels_that_do_not_fit(cfg):
    """Before the first run, as training would in each."""
    cfg.model.head.num_classes = 7
    with pytest.raises(InputError, match=r"has 8 classes .*num_classes is 7$"):
        make_probe(cfg, "mine")
    cfg.model.head.num_classes = 1
    with pytest.raises(InputError, match="num_classes must be 2 or more, but is 1"):
        make_probe(cfg, "mine")


def test_refuses_gray_images(cfg):
    cfg.data_preprocessor = dict(mean=[127.0], std=[50.0], num_classes=8)
    with pytest.raises(InputError, match=r"3 channels, but .*mean is \[127.0\]"):
        make_probe(cfg, "mine")


def test_needs_no_test_data(cfg):
    cfg.test_dataloader.dataset = dict(type="CustomDataset", data_root="nowhere")
    for arm in make_probe(cfg, "mine").spec.arms:
        assert arm.cfg.test_dataloader.dataset == arm.cfg.val_dataloader.dataset


def test_refuses_several_classes_of_an_image(cfg, tmp_path):
    ann_file = tmp_path / "labels.json"
    # The same classes as for training, each with images.
    images = [dict(img_path=f"{i}.jpg", gt_label=[i]) for i in range(8)]
    images[3]["gt_label"] = [3, 5]
    classes = list(DATASETS.build(cfg.train_dataloader.dataset).CLASSES)
    content = dict(metainfo=dict(classes=classes), data_list=images)
    ann_file.write_text(json.dumps(content))
    cfg.val_dataloader.dataset = dict(
        type="MultiLabelDataset",
        ann_file=str(ann_file),
        pipeline=[dict(type="Resize", scale=96), dict(type="PackInputs")],
    )
    with pytest.raises(
        InputError, match=r"^val_dataloader.* one class for each image$"
    ):
        make_probe(cfg, "mine")


@pytest.mark.parametrize(
    ("output", "size", "sentence"),
    [
        ((96, 96), {}, "must be below the input size, 96x96, but is 96x96"),
        ((24, 100), {}, "must be below the input size, 96x96, but is 24x100"),
        (None, {"seeds": 1}, "seeds must be 2 or more, for an interval, got 1"),
        (None, {"epochs": 2}, "epochs must be above 2, .* but got 2"),
    ],
)
def test_refuses(cfg, output, size, sentence):
    with pytest.raises(InputError, match=sentence):
        make_probe(cfg, "mine", output, ProbeSize(**size))


def test_refuses_wrapped_data(cfg):
    inner = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type="RepeatDataset", times=2, dataset=inner)
    with pytest.raises(InputError, match="no wrapper, but is of type 'RepeatDataset'"):
        make_probe(cfg, "mine")


def test_refuses_missing_data():
    cfg = load_named_config(
        "mmresizer::flowers/bilinearx4_resnet18_1xb32_flowers12_56px.py"
    )
    cfg.train_dataloader.dataset.data_root = "nowhere"
    with pytest.raises(InputError, match=r"train_dataloader.*nowhere"):
        make_probe(cfg, "mine")


def test_refuses_other_tasks():
    cfg = load_named_config(
        "mmresizer::degraded/bicubicx4_resnet18-cifar-w16_1xb32_degraded-textures_24px.py"
    )
    with pytest.raises(InputError, match="needs a classifier"):
        make_probe(cfg, "mine")


@pytest.mark.parametrize(
    ("input_size", "output_size", "full", "imagenet_stem"),
    [
        ((96, 96), (12, 12), (96, 96), True),
        ((448, 448), (28, 28), (224, 224), True),
        ((300, 600), (30, 60), (158, 317), True),  # as many pixels as 224 x 224
        ((448, 448), (150, 150), (300, 300), True),  # twice the output
        ((448, 448), (336, 336), (448, 448), True),
        ((1000, 100), (200, 100), (1000, 100), True),  # no narrower than the output
        # A stem of stride 4 would see fewer positions than the output has.
        ((64, 64), (48, 48), (64, 64), False),
        ((200, 200), (40, 40), (200, 200), True),
        ((160, 160), (50, 50), (100, 100), False),
        ((160, 160), (41, 41), (96, 96), False),
    ],
)
def test_full_size(input_size, output_size, full, imagenet_stem):
    assert find_full_size(input_size, output_size) == (full, imagenet_stem)


def summarize(loss, gain, full=80.0):
    """A summary with these differences to antialiased interpolation."""
    differences = {"bilinear": (-4, -5, -3), "learned": gain, "full size": loss}
    return dict(
        arms=[
            dict(arm=name, output="12x12", top1=[full, full - 1, full + 1], gmac=0.1)
            for name in ARMS
        ],
        differences=[
            dict(arm=arm, baseline="antialiased", difference=list(difference))
            for arm, difference in differences.items()
        ],
        failures=[],
    )


def find_answer(text):
    (line,) = [line for line in text.splitlines() if line.startswith("**")]
    return line.strip("*")


@pytest.mark.parametrize(
    ("loss", "gain", "answer"),
    [
        (
            (10, 8, 12),
            (4, 1, 7),
            r"pays here: .* 4.0 points \(1.0 to 7.0\) of 10.0 back",
        ),
        ((10, 8, 12), (4, -1, 9), "no gain .*at most 9.0 points.*larger image"),
        ((10, 8, 12), (-4, -7, -1), r"at most 0.0 points.* It does harm"),
        (
            (1, 0.5, 1.9),
            (0, -1, 1),
            "Nothing to win: resizing loses less than 2 points",
        ),
        ((1, 0.5, 1.9), (1, 0.5, 1.5), "Nothing to win: resizing loses less than 2"),
        ((1, -1, 3.4), (0, -1, 1), "from zero. It may be up to 3.4 points"),
        ((1, -1, 3), (2, 1, 3), r"wins 2.0 points \(1.0 to 3.0\) here.* adds capacity"),
    ],
)
def test_answer(loss, gain, answer):
    text = explain_probe(summarize(loss, gain), chance=20.0)
    assert re.search(answer, find_answer(text)), text
    low, high = (f"{value:+.1f}" for value in loss[1:])
    assert f"{loss[0]:+.1f} ({low} to {high})" in text


@pytest.mark.parametrize(
    ("full", "chance", "learned"),
    [
        (97.0, 50.0, True),  # two classes
        (59.0, 50.0, False),
        (61.0, 50.0, True),
        (91.0, 90.0, False),  # most images are of one class
        (1.0, 0.1, False),  # a thousand classes
        (30.0, 0.1, True),
    ],
)
def test_models_that_learn_nothing_give_no_answer(full, chance, learned):
    answer = find_answer(explain_probe(summarize((1, 0, 1.5), (0, 0, 0), full), chance))
    said = f"No answer: at the full size the small model reaches {full:.1f} %"
    assert answer.startswith("Nothing to win" if learned else said)


def test_tells_of_runs_that_failed():
    summary = summarize((10, 8, 12), (4, 1, 7))
    summary["failures"] = [dict(arm="learned", seed=2, reason="no space")]
    text = explain_probe(summary, 20.0)
    assert "do not count: 1, such as learned, seed 2 (no space)." in text
    del summary["differences"][1]
    answer = find_answer(explain_probe(summary, 20.0))
    assert answer == "No answer: too few runs have finished."


@pytest.mark.slow
def test_whole_probe(run_tool, tmp_path):
    """As a user runs it; the second call trains nothing."""
    arguments = ("--images", 64, "--epochs", 3, "--seeds", 2, "--threads", 1)
    command = ("probe.py", DEMO, "--work-dir", tmp_path / "out", *arguments)
    status, output = run_tool(*command)
    assert status == 0, output
    answer = (tmp_path / "out/probe.md").read_text()
    assert answer in output
    assert "| full size | 96x96 |" in answer
    status, output = run_tool(*command)
    assert status == 0, output
    assert output.count("(before)") == 8


def test_bad_options(run_tool, tmp_path):
    for arguments, sentence in (
        (("--output-size", "0"), "must be a size such as 224"),
        (("--output-size", "200"), "must be below the input size, 96x96"),
        (("--images", "none"), "must be a positive int, but got 'none'"),
        (("--cfg-options", "train_dataloder.batch_size=8"), "key 'train_dataloder'"),
    ):
        status, output = run_tool("probe.py", DEMO, *arguments, cwd=tmp_path)
        assert status != 0
        assert sentence in output
        assert "Traceback" not in output
