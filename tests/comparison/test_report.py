"""Summaries of tables that are written by hand."""

import json

import pandas as pd
import pytest

from mmresizer.comparison.report import summarize, write_report
from mmresizer.comparison.summary_page import render
from mmresizer.utils import InputError

FACTS = dict(
    name="by hand",
    weights="stage 1",
    seeds=[0, 1, 2],
    warmup_epochs=1,
    holdout=None,
    machines=["abacus"],
    dates=["2026-01-01", "2026-01-02", "2026-01-03"],
)


def tables(curves, correct, inputs=None, data=None, reasons=None, val_data=None):
    """Makes the tables from {arm: {seed: ...}}; the first arm is the baseline."""
    inputs, data, reasons = inputs or {}, data or {}, reasons or {}
    val_data = val_data or {}
    results = [
        dict(arm=arm, seed=seed, epoch=epoch, top1=top1, loss=1.0)
        for arm, seeds in curves.items()
        for seed, curve in seeds.items()
        for epoch, top1 in enumerate(curve, 1)
    ]
    names = [arm for arm in correct if arm != "stage1"]
    runs = [
        dict(
            arm=arm,
            seed=seed,
            status="diverged" if (arm, seed) in reasons else "finished",
            reason=reasons.get((arm, seed), ""),
            correct=string,
            data=data.get((arm, seed), "aa bb"),
            val_data=val_data.get((arm, seed), "dd"),
        )
        for arm, seeds in correct.items()
        for seed, string in seeds.items()
    ]
    arms = [
        dict(
            arm=arm,
            baseline=arm == names[0],
            base=arm,
            input=inputs.get(arm, "8x8"),
            input_size=8,
            output="4x4",
            resizer_params=0,
            params=10,
            resizer_gmac=0.0,
            gmac=1.0,
            latency_ratio=float("nan"),
            latency_machine="",
        )
        for arm in names
    ]
    return pd.DataFrame(results), pd.DataFrame(runs), pd.DataFrame(arms)


CURVES = {
    "plain": {0: [10, 60, 50], 1: [10, 20, 50], 2: [10, 30, 50]},
    "better": {0: [90, 70, 75], 1: [10, 20, 75], 2: [10, 30, 100]},
}
CORRECT = {
    "plain": {0: "1100", 1: "1100", 2: "1100"},
    "better": {0: "1110", 1: "1110", 2: "1111"},
}


def test_numbers_by_hand():
    summary = summarize(*tables(CURVES, CORRECT), FACTS)
    plain, better = summary["arms"]
    assert plain["first_epoch"] == 10
    assert better["first_epoch"] == pytest.approx(110 / 3, abs=1e-3)
    # After the warm-up: 60 to 50 below the best, and 90 to 70.
    assert plain["worst_drop"] == 10
    assert better["worst_drop"] == 20
    assert plain["top1"] == [50, 50, 50]
    # 75, 75, 100: mean 83.33, s = 14.43, t = 4.303.
    assert better["top1"] == pytest.approx([83.3333, 47.473, 119.194], abs=0.01)
    (difference,) = summary["differences"]
    assert (difference["arm"], difference["baseline"]) == ("better", "plain")
    assert difference["difference"][0] == pytest.approx(100 / 3, abs=1e-3)
    assert difference["over_seeds"] == pytest.approx([33.333, -2.527, 69.194], abs=0.01)
    # 235 - 120, 105 - 80 and 140 - 90, over 3 epochs: s = 15.49.
    assert difference["all_epochs"] == pytest.approx([21.11, -17.36, 59.58], abs=0.01)
    # One and two discordant pairs: a fair coin gives as many with p = 1 and 1 / 2.
    assert difference["mcnemar"] == [1, 1, 0.5]
    assert difference["verdict"] == "undecided"
    assert summary["images"] == 4
    assert summary["same_data"]


def test_a_failed_run_leaves_its_seed_out():
    curves = {**CURVES, "better": {0: [75], 2: [100]}}
    correct = {**CORRECT, "better": {0: "1110", 1: "", 2: "1111"}}
    reasons = {("better", 1): "the loss became nan in epoch 1, iteration 2"}
    summary = summarize(
        *tables(curves, correct, reasons=reasons), {**FACTS, "warmup_epochs": 0}
    )
    (difference,) = summary["differences"]
    assert difference["seeds"] == [0, 2]
    assert difference["difference"][0] == 37.5
    assert summary["arms"][1]["seeds"] == 2
    assert summary["failures"] == [
        dict(arm="better", seed=1, status="diverged", reason=reasons["better", 1])
    ]


def test_one_seed_has_no_interval():
    curves = {**CURVES, "better": {0: [75, 75, 75]}}
    correct = {**CORRECT, "better": {0: "1110", 1: "", 2: ""}}
    reasons = {("better", 1): "x", ("better", 2): "x"}
    summary = summarize(*tables(curves, correct, reasons=reasons), FACTS)
    assert summary["differences"] == []
    assert summary["arms"][1]["top1"] == [75]
    page = render(summary)
    assert "| 75.0 (1 of 3 seeds) |" in page
    reason = "better has no verdict: it has no 2 seeds in common with a baseline"
    assert f"- {reason} of its input size (1 of 3 have finished)." in page


def test_means_of_unequal_lengths_are_not_compared():
    """The later epochs are the better ones: a mean over more of them says nothing."""
    curves = {**CURVES, "better": {seed: [50] * 9 for seed in range(3)}}
    (difference,) = summarize(*tables(curves, CORRECT), FACTS)["differences"]
    assert difference["all_epochs"] is None
    assert difference["difference"][0] == pytest.approx(100 / 3, abs=1e-3)


def test_other_images_are_noticed():
    data = {("better", 1): "aa bc"}
    assert not summarize(*tables(CURVES, CORRECT, data=data), FACTS)["same_data"]


def test_other_images_in_a_later_epoch_are_noticed():
    """Even where the first arm has ended before."""
    curves = {**CURVES, "third": CURVES["plain"]}
    correct = {**CORRECT, "third": CORRECT["plain"]}
    data = {("plain", 1): "aa", ("better", 1): "aa bb", ("third", 1): "aa cc"}
    assert not summarize(*tables(curves, correct, data=data), FACTS)["same_data"]


@pytest.mark.parametrize("run", [("better", 1), ("plain", 2)])
def test_refuses_other_validation_images(run):
    with pytest.raises(InputError, match="was validated on other images than 'plain'"):
        summarize(*tables(CURVES, CORRECT, val_data={run: "ee"}), FACTS)


def test_sweep_compares_at_the_same_input():
    curves = {**CURVES, "small": CURVES["plain"]}
    correct = {**CORRECT, "small": CORRECT["plain"]}
    made = tables(curves, correct, inputs={"small": "4x4"}, data={("small", 1): "cc"})
    summary = summarize(*made, FACTS)
    assert [d["arm"] for d in summary["differences"]] == ["better"]
    assert summary["same_data"]
    assert "- small has no verdict: no baseline has inputs of 4x4.\n" in render(summary)


@pytest.mark.parametrize("names", [("plain", "better"), ("None", "1e-3")])
def test_report_from_files(tmp_path, names):
    curves = dict(zip(names, CURVES.values(), strict=True))
    correct = dict(zip(names, CORRECT.values(), strict=True))
    curves = {"stage1": {0: [40], 1: [44], 2: [42]}, **curves}
    correct = {"stage1": {0: "1010", 1: "1010", 2: "1010"}, **correct}
    files = ("results.csv", "runs.csv", "arms.csv")
    for name, table in zip(files, tables(curves, correct), strict=True):
        table.to_csv(tmp_path / name, index=False)
    (tmp_path / "facts.json").write_text(json.dumps(FACTS))
    page = render(write_report(tmp_path))
    assert page == (tmp_path / "summary.md").read_text()
    assert "stage 1, which reaches 42.0 ± 5.0." in page
    assert f"| {names[1]} | {names[0]} | +33.3 (" in page
    words = f"{names[1]} is undecided against {names[0]} with 3 seeds and 4 images"
    assert words in page
    assert "Trained on abacus, 2026-01-01 to 2026-01-03." in page
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["stage1"][0] == 42
    assert (tmp_path / "accuracy_over_epochs.png").is_file()
    for name, fault in (
        ("results.csv", r"results\.csv' is no table of a comparison: it lacks .* arm,"),
        ("facts.json", r"facts\.json' must be JSON"),
    ):
        kept = (tmp_path / name).read_text()
        (tmp_path / name).write_text("garbage")
        with pytest.raises(InputError, match=fault):
            write_report(tmp_path)
        (tmp_path / name).write_text(kept)
    for name, content in (
        ("facts.json", "{}"),
        ("facts.json", "[]"),
        ("results.csv", "arm,seed,epoch,top1,loss\n"),
        ("runs.csv", (tmp_path / "runs.csv").read_text().replace("1110", "11")),
    ):
        kept = (tmp_path / name).read_text()
        assert content != kept
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match="do not belong together, or are damaged"):
            write_report(tmp_path)
        (tmp_path / name).write_text(kept)
    (tmp_path / "arms.csv").unlink()
    with pytest.raises(InputError, match=r"has no arms.csv of a comparison"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("paper", "said"),
    [
        (None, "with the whole stem of the resizers, as the paper counts. Latency"),
        ([1.0, 1.0], "for one image, as inference computes them. Latency"),
        (
            [1.0, 1.25],
            "as inference computes them (in all, with the whole stem, as the paper "
            "counts: better: 1.2500). Latency",
        ),
    ],
)
def test_says_which_count_was_used(paper, said):
    results, runs, arms = tables(CURVES, CORRECT)
    if paper:
        arms["gmac_paper"] = paper
    assert said in render(summarize(results, runs, arms, FACTS))
