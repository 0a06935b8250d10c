"""Comparisons of detectors, without training any."""

import pytest
from mmengine.config import Config
from stand_ins import Executor

from conftest import ROOT
from mmresizer.comparison.dense import DenseRun, compare_dense, summarize
from mmresizer.config.loading import load_config
from mmresizer.utils import InputError

FIELDS = (
    "config,seed,mAP,mAP_50,mAP_s,mAP_m,mAP_l,parameters,gmac,resizer_gmac,"
    "latency_ratio,machine,date\n"
)


def test_summary_by_hand(tmp_path):
    """Student's t with 1 degree of freedom: 12.706 standard errors."""
    rows = [
        ("bilinear", 0, 0.10), ("bilinear", 1, 0.20),
        ("resizer", 0, 0.14), ("resizer", 1, 0.22),
    ]  # fmt: skip
    lines = [
        f"{name},{seed},{value},{value},{value},{value},-1.0,1000,0.5,0.1,1.5,m,d\n"
        for name, seed, value in rows
    ]
    path = tmp_path / "results.csv"
    path.write_text(FIELDS + "".join(lines))
    page = summarize(path)
    # Means 15 and 18; half the distance of two values is their standard error.
    assert "| bilinear | 15.0 ± 63.5 |" in page
    assert "| resizer | 18.0 ± 50.8 |" in page
    # Differences 4 and 2.
    assert "| resizer | +3.0 (-9.7 to +15.7) |" in page
    assert "mAP l" not in page  # no objects of that size


def test_runs_of_several_machines(tmp_path):
    """All of them are named, and ratios that were not measured are left out."""
    numbers = "0.1," * 5 + "1000,0.5,0.1"
    lines = [
        f"{name},{seed},{numbers},{ratio},{machine},today\n"
        for name, ratio, machine in (("bilinear", "1.0", "a"), ("larger", "", "b"))
        for seed in (0, 1)
    ]
    (tmp_path / "results.csv").write_text(FIELDS + "".join(lines))
    page = summarize(tmp_path / "results.csv")
    assert "| 1,000 | 0.500 (0.100) | 1.00 |" in page
    assert "| 1,000 | 0.500 (0.100) | - |" in page
    assert page.endswith("\na, today; b, today.\n")


PUBLISHED = sorted((ROOT / "configs").glob("*/results*/results.csv"))


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.parts[-3])
def test_published_summary_follows_from_its_table(path):
    assert summarize(path) == path.with_name("summary.md").read_text()


def test_finds_what_is_published():
    assert {path.parts[-3] for path in PUBLISHED} == {"deep_pcb", "textured_shapes"}
    assert len(PUBLISHED) == 3


def test_refuses_a_damaged_table(tmp_path):
    (tmp_path / "results.csv").write_text("config,seed\nbilinear,x\n")
    with pytest.raises(InputError, match="is no table of this tool"):
        summarize(tmp_path / "results.csv")


@pytest.mark.parametrize(
    ("configs", "seeds", "expected"),
    [
        (["a.py"], (0, 1), "a baseline and at least one other config"),
        (["a.py", "x/a.py"], (0, 1), "each of a name of its own, but got a, a"),
        (["a.py", "b.py"], (0,), r"at least 2 seeds, each once, but got \[0\]"),
        (["a.py", "b.py"], (1, 1), r"each once, but got \[1, 1\]"),
        (["a.py", "b.py"], (0, 1), "the config 'a.py' does not exist"),
    ],
)
def test_refuses_to_compare(tmp_path, configs, seeds, expected):
    with pytest.raises(InputError, match=expected):
        compare_dense(configs, str(tmp_path / "out"), seeds)
    assert not (tmp_path / "out").exists()


SHAPES = ROOT / "configs" / "textured_shapes"
CONFIGS = [
    str(SHAPES / f"{resizer}x2_faster-rcnn-r18w16-fpn_1xb8_textured-shapes_96px.py")
    for resizer in ("bilinear", "resizer")
]


def test_a_run_is_validated_at_its_end(tmp_path):
    """With the seed itself, as the published ones."""
    cfg = Config(
        dict(
            train_cfg=dict(max_epochs=8, val_interval=4),
            train_dataloader=dict(num_workers=1, dataset=dict(type="CocoDataset")),
            val_evaluator=dict(type="CocoMetric"),
            model=dict(type="mmresizer.ResizerDetector"),
        )
    )
    run = DenseRun("resizer", 2, tmp_path / "run", cfg)
    run.prepare()
    prepared = Config.fromfile(run.folder / "config.py")
    assert prepared.randomness.seed == 2
    # mmengine validates after each epoch from the 8th on.
    assert (prepared.train_cfg.val_begin, prepared.train_cfg.val_interval) == (8, 1)
    (hook,) = prepared.custom_hooks
    assert hook.type == "mmresizer.RecordMetricsHook"
    assert hook.metrics[:2] == ["coco/bbox_mAP", "coco/bbox_mAP_50"]


@pytest.mark.detection
def test_refuses_to_mix_tasks(tmp_path):
    (other,) = SHAPES.glob("resizerx2_unet*.py")
    with pytest.raises(InputError, match="but got detectors and segmentors"):
        compare_dense([CONFIGS[0], str(other)], str(tmp_path / "out"))


def test_segmentors_have_other_metrics(tmp_path):
    """In percent already; classes have a table for each kind of IoU."""
    (path,) = SHAPES.glob("resizerx2_unet*.py")
    run = DenseRun("a", 0, tmp_path, load_config(str(path)))
    assert run.recorder["metrics"] == [
        "mIoU", "mBoundaryIoU", "aAcc", "IoU/*", "boundary_IoU/*",
    ]  # fmt: skip
    assert run.describe({"mIoU": 43.21}) == "mIoU 43.2"
    fields = "config,seed,mIoU,mBoundaryIoU,aAcc,IoU of crack,boundary IoU of crack,"
    lines = [
        f"{name},{seed},{value},20,90,{value},7,1000,0.5,0.1,1.5,m,d\n"
        for name, seed, value in [
            ("a", 0, 10),
            ("a", 1, 20),
            ("b", 0, 14),
            ("b", 1, 22),
        ]
    ]
    costs = "parameters,gmac,resizer_gmac,latency_ratio,machine,date\n"
    file = tmp_path / "results.csv"
    file.write_text(fields + costs + "".join(lines))
    page = summarize(file)
    assert page.startswith("# Segmentors against their baseline")
    assert "| a | 15.0 ± 63.5 | 20.0 ± 0.0 | 90.0 ± 0.0 |" in page
    assert "| b | +3.0 (-9.7 to +15.7) |" in page
    regions, boundaries = page.split("## By class: ")[1:]
    assert regions.startswith("IoU")
    assert "| b, difference | +3.0 (-9.7 to +15.7) |" in regions
    assert boundaries.startswith("boundary IoU")
    assert "| b, difference | +0.0 (+0.0 to +0.0) |" in boundaries


@pytest.mark.detection
def test_names_the_runs_that_failed(tmp_path):
    with pytest.raises(InputError, match="no tables without the runs that") as e:
        compare_dense(CONFIGS, str(tmp_path / "out"), (0, 1), Executor("failed"))
    assert str(e.value).count("(failed: a reason)") == 4
    assert not (tmp_path / "out" / "results.csv").exists()


@pytest.mark.detection
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            'train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=9)',
            r"max_epochs of train_cfg, an EpochBasedTrainLoop, of '.*other.py' must be",
        ),
        ("val_evaluator = None", "the val_evaluator of .* CocoMetric, but got None"),
        (
            'test_dataloader = dict(dataset=dict(pipeline=[dict(type="LoadImage")]))',
            "the test pipeline of '.*other.py' must deliver a fixed size",
        ),
    ],
)
def test_refuses_a_config_before_anything_is_trained(tmp_path, lines, expected):
    other = tmp_path / "other.py"
    other.write_text(f"_base_ = [{CONFIGS[1]!r}]\n{lines}\n")
    with pytest.raises(InputError, match=expected):
        compare_dense([CONFIGS[0], str(other)], str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_classes_have_a_table_of_their_own(tmp_path):
    columns = ["mAP of pin-hole", "mAP of open"]
    fields = FIELDS.replace("parameters", f"{','.join(columns)},parameters")
    lines = [
        f"{name},{seed},0.1,0.1,0.1,0.1,0.1,{value},0.5,1000,0.5,0.1,1.5,m,d\n"
        for name, seed, value in [
            ("a", 0, 0.1),
            ("a", 1, 0.2),
            ("b", 0, 0),
            ("b", 1, 0),
        ]
    ]
    path = tmp_path / "results.csv"
    path.write_text(fields + "".join(lines))
    page = summarize(path)
    assert "| config | pin-hole | open |" in page
    assert "| a | 15.0 ± 63.5 | 50.0 ± 0.0 |" in page


@pytest.mark.parametrize("classwise", [True, False])
def test_classes_are_recorded_if_they_are_measured(tmp_path, classwise):
    evaluator = dict(type="CocoMetric", classwise=classwise)
    model = dict(type="mmresizer.ResizerDetector")
    cfg = Config(dict(val_evaluator=evaluator, model=model))
    recorded = DenseRun("a", 0, tmp_path, cfg).recorder["metrics"]
    assert ("coco/*_precision" in recorded) is classwise
    assert "coco/bbox_mAP_s" in recorded
