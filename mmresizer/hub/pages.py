"""Pages with tables of the models in the zoo."""

import csv
import re
from collections.abc import Iterable
from pathlib import Path

from mmresizer.utils.tables import fill_page, make_table

from .metafiles import read_metafile
from .model_index import show_metrics

_LATENCIES = "docs/benchmarks/pairs_cpu-2-cores.csv"

_HEADER = (
    "Model",
    "resizer",
    "in -> out (px)",
    "params (M)",
    "GMAC (resizer / total)",
    "latency ratio to baseline",
    "published (source)",
    "ours (measured)",
    "config",
    "checkpoint",
)

_WEIGHTS_HEADER = (
    "weights",
    "config",
    "trained on",
    "result",
    "MB",
    "SHA-256",
    "resizer alone",
    "its SHA-256",
    "log",
)

_INTRODUCTION = """\
# Model zoo

Models with a result come first. All others are on the pages of the families, below.
Results with several seeds: [comparisons](comparisons/README.md).

Each learned config has a baseline: the same name with `bilinear` in place of `resizer`
(`bicubic` for image quality). It has the same pixels in, the same output and the same
recipe.

- Results are top-1 accuracies in %, or what is named, after the last epoch. No
  checkpoint is picked.
- *Published* figures are from other people's runs, in other conditions. They stand
  here for comparison only.
- GMAC: 10^9 multiply-accumulates of convolutions and matrix products that inference
  computes for one image. In parentheses: the resizer's with its whole stem, where
  interpolation does not read all of it. The paper counts that, and exported models
  compute it. At other sizes:
  `tools/analysis_tools/get_flops.py CONFIG`.
- The latency ratio is the time of the learned model over that of its baseline, in
  inference, batch 8, on 2 cores of an AMD EPYC. Some of its ranges are wide:
  [docs/benchmarks](docs/benchmarks/README.md#whole-models).
- Configs with `-aspect`, and detectors, keep the images' aspect ratios. Sizes and costs
  are those of a square image, and for detectors those of the largest landscape image.
  Those of segmentors are of a training crop.
- A dash: not measured, or not published.

This page is written by `tools/misc/update_model_zoo.py`, from the configs and their
`metafile.yml`.

## Models with results
"""


def render_zoo_pages(root: Path) -> dict[Path, str]:
    """Renders ``model_zoo.md`` and the tables of the families and of the weights.

    Args:
        root (Path): Root of the repository.

    Returns:
        dict[Path, str]: Content by path.

    Raises:
        InputError: If a README file lacks the marks around its table.
    """
    latencies = _read_latencies(root)
    pages = {}
    measured: list[list[str]] = []
    families: list[list[str]] = []
    published: list[dict] = []
    for file in sorted((root / "configs").glob("[!_]*/metafile.yml")):
        meta = read_metafile(file)
        readme = file.with_name("README.md")
        models = sorted(meta["Models"], key=_sort_key)
        rows = [_make_row(model, latencies) for model in models]
        published += [model for model in models if "Weights" in model]
        table = make_table(_HEADER, _add_links(rows, "", "../../"))
        pages[readme] = fill_page(readme, table)
        folder = f"configs/{file.parent.name}"
        trained = [
            row for model, row in zip(models, rows, strict=True) if "Results" in model
        ]
        measured += _add_links(trained, f"{folder}/", "")
        (collection,) = meta["Collections"]
        link = f"[{collection['Name']}]({folder}/README.md)"
        families.append([link, str(len(rows)), str(len(trained))])
    pages[root / "model_zoo.md"] = "\n".join(
        [
            _INTRODUCTION,
            make_table(_HEADER, measured),
            "\n## All families\n",
            make_table(("family", "models", "with results"), families) + "\n",
        ]
    )
    page = root / "checkpoints" / "README.md"
    rows = [_describe_weights(model) for model in published]
    pages[page] = fill_page(page, make_table(_WEIGHTS_HEADER, rows))
    return pages


def _sort_key(model: dict) -> tuple[str, float, str]:
    """Puts a learned config below its baseline, and inputs of a recipe in order."""
    head, _, recipe = model["Name"].partition("_")
    resizer, factor = re.fullmatch(r"(.*)x([\d.]+)", head).groups()  # type: ignore[union-attr]
    return recipe, float(factor), resizer


def _make_row(model: dict, latencies: dict[str, str]) -> list[str]:
    meta = model["Metadata"]
    published = meta.get("Published")
    results = model.get("Results")
    # A square is shown by one side.
    sizes = [re.sub(r"^(\d+)x\1$", r"\1", meta[key]) for key in ("Input", "Output")]
    resizer = f"{meta['Resizer FLOPs'] / 1e9:.3f}"
    if (paper := meta.get("Resizer FLOPs in Paper")) is not None:
        resizer += f" ({paper / 1e9:.3f})"
    ours = "-"
    if results:
        ours = f"{show_metrics(results[0]['Metrics'])} ({meta['Measured']})"
    return [
        model["Name"],
        meta["Resizer"],
        " -> ".join(sizes),
        f"{meta['Parameters'] / 1e6:.2f}",
        f"{resizer} / {meta['FLOPs'] / 1e9:.3f}",
        latencies.get(model["Name"])
        or latencies.get(_drop_setting(model["Name"]), "-"),
        f"{published['Top 1 Accuracy']} ({published['Source']})" if published else "-",
        ours,
        "config",
        model.get("Weights", ""),
    ]


def _describe_weights(model: dict) -> list[str]:
    """Returns a row of the table in the folder of weights."""
    meta = model["Metadata"]
    resizer = meta.get("Resizer Weights")
    return [
        _link_beside(model["Weights"]),
        f"[config](../{model['Config']})",
        f"{meta['Training Data']}: {meta['Trained']}",
        show_metrics(model["Results"][0]["Metrics"]),
        f"{meta['Weights Size'] / 1e6:.1f}",
        f"`{meta['Weights SHA256']}`",
        _link_beside(resizer) if resizer else "-",
        f"`{meta['Resizer Weights SHA256']}`" if resizer else "-",
        f"[log]({Path(meta['Training Log']).name})",
    ]


def _link_beside(file: str) -> str:
    return f"[{Path(file).name}]({Path(file).name})"


def _add_links(rows: Iterable[list[str]], folder: str, root: str) -> list[list[str]]:
    """Puts links, as seen from a page, into the last two columns."""
    return [
        [
            *row[:-2],
            f"[config]({folder}{row[0]}.py)",
            f"[weights]({root}{row[-1]})" if row[-1] else "-",
        ]
        for row in rows
    ]


def _drop_setting(name: str) -> str:
    """Drops the part of a config's name that concerns training alone."""
    return re.sub(r"(xb\d+)-[\w-]+?_", r"\1_", name)


def _read_latencies(root: Path) -> dict[str, str]:
    """Returns the measured ratios of learned configs, by name."""
    with open(root / _LATENCIES, newline="") as file:
        return {
            row["config"]: f"{float(row['ratio']):.1f}" for row in csv.DictReader(file)
        }
