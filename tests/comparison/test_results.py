"""The published results, and the table over them."""

import json
import shutil

import pandas as pd
import pytest

from conftest import ROOT
from mmresizer.apis.rates import write_rates
from mmresizer.comparison.overview import render_overview, render_steadiness
from mmresizer.comparison.probe import explain_probe
from mmresizer.comparison.report import write_report
from mmresizer.config.loading import load_config

RESULTS = ROOT / "comparisons" / "results"
RATES = sorted((ROOT / "comparisons" / "rates").iterdir())
PROBES = sorted((ROOT / "comparisons" / "probes").iterdir())
SPECS = {
    path.stem: path
    for folder in ("comparisons", "projects/search")
    for path in sorted((ROOT / folder).glob("*.py"))
}


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param(
            file.parent,
            id=file.parent.name,
            marks=[pytest.mark.zoo] * (file.parent.name != "fine_textures"),
        )
        for file in sorted(RESULTS.glob("*/facts.json"))
    ],
)
def test_published_tables_come_from_the_csv_files(folder, tmp_path):
    for name in ("results.csv", "runs.csv", "arms.csv", "facts.json"):
        shutil.copy(folder / name, tmp_path)
    write_report(tmp_path)
    for name in ("summary.md", "summary.json"):
        assert (tmp_path / name).read_text() == (folder / name).read_text()
    made = {file.name for file in tmp_path.glob("*.png")}
    published = {file.name for file in folder.glob("*.png")}
    # Pictures are drawn when all has ended.
    runs = pd.read_csv(folder / "runs.csv", dtype=str)
    arms = pd.read_csv(folder / "arms.csv", dtype=str)
    facts = json.loads((folder / "facts.json").read_text())
    ended = sum(runs.arm != "stage1") == len(arms) * len(facts["seeds"])
    assert published == made | ({"resizers.png"} if ended else set())
    # They are of the spec of that name.
    spec = load_config(str(SPECS[folder.name]))
    assert facts["name"] == folder.name
    assert facts["seeds"] == spec.seeds
    assert list(arms.arm) == get_names(spec)


@pytest.mark.parametrize("folder", RATES, ids=[folder.name for folder in RATES])
def test_published_rates_come_from_the_csv_files(folder, tmp_path):
    shutil.copy(folder / "rates.csv", tmp_path)
    write_rates(tmp_path)
    assert (tmp_path / "rates.md").read_text() == (folder / "rates.md").read_text()
    assert (folder / "rates.png").is_file()


@pytest.mark.parametrize("folder", PROBES, ids=[folder.name for folder in PROBES])
def test_published_probes_come_from_the_csv_files(folder, tmp_path):
    for name in ("results.csv", "runs.csv", "arms.csv", "facts.json"):
        shutil.copy(folder / name, tmp_path)
    summary = write_report(tmp_path)
    # In all of them the small models learn.
    answer = explain_probe(summary, chance=20.0)
    assert (folder / "probe.md").read_text() == f"# {summary['name']}\n\n{answer}\n"


def get_names(spec):
    sweep = spec.get("sweep", dict(arms=[], input_sizes=[]))
    names = []
    for arm in spec.arms:
        name = arm["name"]
        swept = [f"{name} {size} px" for size in sweep["input_sizes"]]
        names += swept if name in sweep["arms"] else [name]
    return names


def test_finds_the_specs():
    assert len(SPECS) >= 10
    assert len(PROBES) >= 2


@pytest.mark.parametrize("path", SPECS.values(), ids=SPECS)
def test_muller_knows_the_normalization(path):
    """It has to undo that of the data, which each spec states anew."""
    spec = load_config(str(path))
    data = load_config(str(get_config_path(spec.config))).data_preprocessor
    mullers = [
        arm["resizer"]
        for arm in spec.arms
        if arm.get("resizer", {}).get("type") == "mmresizer.MULLERResizer"
    ]
    assert all(m["mean"] == data.mean and m["std"] == data.std for m in mullers)


def get_config_path(config):
    package, _, name = config.partition("::")
    assert package == "mmresizer"
    return ROOT / "configs" / name


def write_summary(folder, arms, differences=()):
    folder.mkdir()
    arms = [
        dict(arm=name, top1=top1, gmac=gmac, latency_ratio=ratio)
        | dict(first_epoch=60.04, worst_drop=2.5)
        for name, top1, gmac, ratio in arms
    ]
    summary = dict(
        name=folder.name,
        arms=arms,
        differences=list(differences),
        holdout="fold 0" if folder.name.startswith("search") else None,
    )
    (folder / "summary.json").write_text(json.dumps(summary))


def test_overview(tmp_path):
    difference = dict(
        arm="learned",
        baseline="bilinear",
        difference=[0.5, -1.3, 2.3],
        verdict="undecided",
    )
    write_summary(
        tmp_path / "flowers",
        [
            ("bilinear", [80.0, 79.0, 81.0], 0.1, 1.0),
            ("learned", [80.5, 78.5, 82.5], 0.3, 2.3),
        ],
        [difference],
    )
    no_norm = ("learned, no norm", [79.5, 78.0, 81.0], 0.2, 1.9)
    worse = dict(difference, arm="learned, no norm", difference=[-0.5, -1.5, 0.5])
    write_summary(
        tmp_path / "recipe",
        [
            ("bilinear", [80.0, 79.0, 81.0], 0.1, 1.0),
            ("larger", [84.0, 83.0, 85.0], 0.2, 2.0),
            ("learned", [80.5, 78.5, 82.5], 0.3, 2.3),
            no_norm,
        ],
        [
            difference,
            dict(difference, baseline="larger", difference=[-3.5, -4.0, -3.0]),
            worse,
            dict(worse, baseline="larger", difference=[-4.5, -5.0, -4.0]),
        ],
    )
    write_summary(
        tmp_path / "recipe-alone",
        [("bilinear", [80.0, 79.0, 81.0], 0.1, 1.0), no_norm],
        [worse],
    )
    write_summary(
        tmp_path / "running",
        [("bilinear", [80.0, 79.0, 81.0], 0.2, None), ("learned", [81.0], 0.2, None)],
    )
    arms = [("bilinear", [1.0, 0.5, 1.5], 0.1, 1.0), ("learned", None, 0.2, None)]
    write_summary(tmp_path / "search", arms)
    write_summary(tmp_path / "others", arms[:1])
    table = render_overview(tmp_path, "results")
    *lines, nothing, note = table.splitlines()
    header, _, flowers, *recipes = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines
    ]
    flowers = dict(zip(header, flowers, strict=True))
    recipe, alone = [dict(zip(header, row, strict=True)) for row in recipes]
    assert flowers["comparison"] == "[flowers](results/flowers/summary.md)"
    assert flowers["bilinear"] == "80.0 ± 1.0"
    assert flowers["with norms"] == "80.5 ± 2.0"
    assert flowers["larger"] == "-"
    assert flowers["recipe"] == "-"
    assert flowers["learned - bilinear"] == "with norms: +0.5 (-1.3 to +2.3), undecided"
    assert flowers["learned - larger"] == "-"
    assert flowers["arithmetic, learned"] == "3.0"
    assert flowers["latency, learned"] == "2.3"
    assert flowers["latency, larger"] == "-"
    # With norms and without: the differences are of the recipe.
    assert recipe["with norms"] == "80.5 ± 2.0"
    assert recipe["recipe"] == "79.5 ± 1.5"
    assert recipe["learned - bilinear"] == "recipe: -0.5 (-1.5 to +0.5), undecided"
    assert recipe["learned - larger"] == "recipe: -4.5 (-5.0 to -4.0), undecided"
    assert recipe["arithmetic, learned"] == "2.0"
    assert recipe["latency, learned"] == "1.9"
    assert recipe["latency, larger"] == "2.0"
    assert alone["with norms"] == "-"
    assert alone["learned - bilinear"] == "recipe: -0.5 (-1.5 to +0.5), undecided"
    assert alone["latency, learned"] == "1.9"
    assert (nothing, note) == (
        "",
        "Under way, too few seeds for a verdict: "
        "[running](results/running/summary.md).",
    )


def test_overview_of_forms(tmp_path):
    """Comparisons with pooled features have a table of their own."""
    pooled = "learned, antialiased, stride 2"
    accuracies = {
        "antialiased": ([88.0, 87.0, 89.0], 0.20),
        "bilinear": ([81.0, 80.0, 82.0], 0.20),
        "larger, antialiased": ([89.0, 88.0, 90.0], 0.30),
        "learned": ([84.0], 0.25),
        pooled: ([91.0, 90.0, 92.0], 0.22),
    }
    arms = [(name, top1, gmac, None) for name, (top1, gmac) in accuracies.items()]
    differences = [
        dict(arm=pooled, baseline=baseline, difference=numbers, verdict="better")
        for baseline, numbers in {
            "antialiased": [3.0, 2.0, 4.0],
            "bilinear": [10.0, 9.0, 11.0],
            "larger, antialiased": [2.0, 1.0, 3.0],
        }.items()
    ]
    write_summary(tmp_path / "boards", arms, differences)
    write_summary(tmp_path / "running", arms)
    title, _, *lines, _, others, _, _, _, _, note = render_overview(
        tmp_path, "results"
    ).splitlines()
    assert title.startswith("Features that are pooled")
    assert others == "All others:"
    header, _, row = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines
    ]
    cells = dict(zip(header, row, strict=True))
    assert cells["comparison"] == "[boards](results/boards/summary.md)"
    assert cells["antialiased"] == "88.0 ± 1.0"
    assert cells["as in the paper"] == "84.0"
    assert cells["MULLER"] == "-"
    assert cells["pooled, stride 2"] == "91.0 ± 1.0"
    assert cells["stride 2 - antialiased"] == "+3.0 (+2.0 to +4.0), better"
    assert cells["stride 2 - bicubic, antialiased"] == "-"
    assert cells["stride 2 - larger, antialiased"] == "+2.0 (+1.0 to +3.0), better"
    assert cells["arithmetic, stride 2"] == "1.1"
    assert cells["arithmetic, larger"] == "1.5"
    assert note.endswith("for a verdict: [running](results/running/summary.md).")


def test_steadiness(tmp_path):
    top1 = [80.0, 79.0, 81.0]
    arms = [
        ("bilinear", top1, 0.1, 1.0),
        ("failed", None, 0.1, None),
        ("alone", [80.0], 0.1, None),
        ("SGD", top1, 0.1, 1.0),
    ]
    differences = [
        dict(arm="SGD", baseline="bilinear", all_epochs=[-6.9, -9.7, -4.1]),
        dict(arm="SGD", baseline="other", all_epochs=[1.0, 1.0, 1.0]),
    ]
    write_summary(tmp_path / "runs", arms, differences)
    assert render_steadiness(tmp_path / "runs").splitlines()[2:] == [
        "| bilinear | 60.0 | - | 80.0 ± 1.0 | 2.5 |",
        "| alone | 60.0 | - | 80.0 | 2.5 |",
        "| SGD | 60.0 | -6.9 ± 2.8 | 80.0 ± 1.0 | 2.5 |",
    ]
