"""Pages with tables: of configs and their metafiles, and of comparisons."""

import csv
import re
from collections.abc import Iterable
from pathlib import Path

import yaml
from mmengine.config import Config

from mmresizer.hub import MMDETECTION, OURS, show_metrics
from mmresizer.registry import MODELS
from mmresizer.utils import InputError
from mmresizer.utils.cli import load_config
from mmresizer.utils.files import file_digest, write_atomically

from .checks import find_task, has_mmdet
from .comparison.overview import make_table, render_overview, render_steadiness
from .costs import ModelCosts, build_model_to_count, input_size, model_costs

_MARKS = ("<!-- table: written by tools/misc/update_model_zoo.py -->", "<!-- end -->")
_TABLE = re.compile(f"{re.escape(_MARKS[0])}.*?{re.escape(_MARKS[1])}", re.DOTALL)
_LATENCIES = "docs/benchmarks/pairs_cpu-2-cores.csv"

# Name of a dataset in the names of configs -> what the pages call it.
_DATASETS = {
    "ava": "AVA",
    "cats-dogs": "Asirra Cats and Dogs",
    "cats-dogs-subset": "Asirra Cats and Dogs (900 + 1,000 images)",
    "coco": "COCO 2017",
    "cub": "CUB-200-2011",
    "degraded-cats-dogs": "Degraded Cats and Dogs (900 + 1,000 images)",
    "degraded-flowers12": "Degraded Flowers17 (720 + 240 images)",
    "degraded-textures": "DegradedTextures",
    "fine-textures": "FineTextures",
    "flowers12": "Oxford Flowers17 (12 species)",
    "imagenette": "Imagenette",
    "imagewoof": "Imagewoof",
    "in1k": "ImageNet-1k",
    "textured-shapes": "TexturedShapes",
}

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
- GMAC: 10^9 multiply-accumulates of convolutions and matrix products for one image.
  What a model costs at other sizes: `tools/analysis_tools/get_flops.py CONFIG`.
- The latency ratio is the time of the learned model over that of its baseline, in
  inference, batch 8, on 2 cores of an AMD EPYC. Some of its ranges are wide:
  [docs/benchmarks](docs/benchmarks/README.md#whole-models).
- Configs with `-aspect`, and detectors, keep the images' aspect ratios. Sizes and costs
  are those of a square image, and for detectors those of the largest landscape image.
- A dash: not measured, or not published.

This page is written by `tools/misc/update_model_zoo.py`, from the configs and their
`metafile.yml`.

## Models with results
"""


def list_configs(root: Path) -> list[Path]:
    """Lists the configs of the repository but those in ``_base_``."""
    return sorted((root / "configs").glob("[!_]*/*.py"))


def update_metafiles(root: Path) -> None:
    """Writes what follows from the configs into the metafiles, and ``model-index.yml``.

    Of an entry, ``Results``, ``Weights`` and what else is not counted here is kept; of
    detectors, all of it where MMDetection is not installed.

    Args:
        root (Path): Root of the repository.

    Raises:
        InputError: If a family has no metafile, or a config no known dataset.
    """
    families: dict[Path, list[Path]] = {}
    for path in list_configs(root):
        families.setdefault(path.parent, []).append(path)
    costs: dict[tuple, ModelCosts] = {}
    for folder, paths in families.items():
        file = folder / "metafile.yml"
        meta = _read_metafile(file)
        (collection,) = meta["Collections"]
        known = {model["Name"]: model for model in meta.get("Models") or []}
        meta["Models"] = []
        for path in paths:
            entry = known.get(path.stem, {})
            facts = dict(entry.get("Metadata", {}))
            if facts.get("Library") != MMDETECTION or has_mmdet():
                facts |= get_facts(load_config(str(path)), path.stem, costs)
            meta["Models"].append(
                {
                    **entry,
                    "Name": path.stem,
                    "In Collection": collection["Name"],
                    "Metadata": facts,
                    "Config": path.relative_to(root).as_posix(),
                }
            )
        file.write_text(yaml.safe_dump(meta, sort_keys=False, width=100))
    index = [(f / "metafile.yml").relative_to(root).as_posix() for f in families]
    (root / "model-index.yml").write_text(yaml.safe_dump({"Import": index}))


def get_facts(cfg: Config, name: str, costs: dict[tuple, ModelCosts]) -> dict:
    """Returns what a metafile says of a config, counted.

    Args:
        cfg (Config): The config.
        name (str): Its name.
        costs (dict): Filled with costs by model and input, for the next call.

    Raises:
        InputError: If the dataset in the name is not known, or the model has no costs.
    """
    dataset = name.rsplit("_", 2)[1]
    if dataset not in _DATASETS:
        raise InputError(
            f"the dataset {dataset!r} of {name} must be one of {', '.join(_DATASETS)}"
        )
    size = input_size(cfg)
    if size is None:
        raise InputError(f"the test pipeline of {name} must deliver a fixed size")
    key = (str(cfg.model), size)
    if key not in costs:
        costs[key] = model_costs(build_model_to_count(cfg), size)
    cost, resizer = costs[key], cfg.model.resizer
    output = MODELS.build(resizer).get_output_size(size)
    return {
        **_find_library(cfg),
        "Training Data": _DATASETS[dataset],
        "Resizer": _describe_resizer(resizer),
        # Text: mim's search takes no lists of numbers.
        "Input": f"{size[0]}x{size[1]}",
        "Output": f"{output[0]}x{output[1]}",
        "Parameters": cost.total.parameters,
        "FLOPs": cost.total.macs,
        "Resizer Parameters": cost.resizer.parameters,
        "Resizer FLOPs": cost.resizer.macs,
    }


def _find_library(cfg: Config) -> dict[str, str]:
    """Says which library's inference the model is for, unless it is MMPretrain's."""
    if find_task(cfg) == "detection":
        return {"Library": MMDETECTION}
    is_of_quality = (cfg.model.get("head") or {}).get("type") == "mmresizer.IQAHead"
    return {"Library": OURS} if is_of_quality else {}


def _describe_resizer(resizer: dict) -> str:
    if resizer["type"] == "mmresizer.LearnedResizer":
        parts = ["learned"]
        if resizer.get("zero_init"):
            parts.append("zero_init")
        if resizer.get("norm_cfg", {}) is None:
            parts.append("no norm")
        return ", ".join(parts)
    kind = resizer.get("interpolation", "bilinear")
    return f"antialiased {kind}" if resizer.get("antialias") else kind


def add_weights(
    root: Path,
    config: Path,
    files: dict[str, Path],
    task: str,
    metrics: dict[str, float],
    measured: str,
    trained: str,
) -> None:
    """Enters published weights into the metafile of a config's family.

    Args:
        root (Path): Root of the repository.
        config (Path): File of the config, known to the metafile.
        files (dict[str, Path]): "weights", "log" and perhaps "resizer".
        task (str): By its name in metafiles.
        metrics (dict[str, float]): After the last epoch, by their names there.
        measured (str): Seed, machine, version and date.
        trained (str): From what, and how long.

    Raises:
        InputError: If the metafile does not know the config.
    """
    meta, entry = _find_entry(config)
    facts = entry["Metadata"]
    facts.update({"Measured": measured, "Trained": trained})
    facts["Training Log"] = files["log"].relative_to(root).as_posix()
    for key, kind in (("Weights", "weights"), ("Resizer Weights", "resizer")):
        for name in (key, f"{key} Size", f"{key} SHA256"):
            facts.pop(name, None)
        if kind in files:
            facts[f"{key} Size"] = files[kind].stat().st_size
            facts[f"{key} SHA256"] = file_digest(files[kind])
    if "resizer" in files:
        facts["Resizer Weights"] = files["resizer"].relative_to(root).as_posix()
    facts["License"] = "Apache-2.0"
    entry["Weights"] = files["weights"].relative_to(root).as_posix()
    entry["Results"] = [
        {
            "Task": task,
            "Dataset": facts["Training Data"],
            "Metrics": metrics,
        }
    ]
    text = yaml.safe_dump(meta, sort_keys=False, width=100)
    write_atomically(config.with_name("metafile.yml"), text)


def check_entry(config: Path) -> None:
    """Checks that a metafile knows a config.

    Raises:
        InputError: If it does not.
    """
    _find_entry(config)


def _find_entry(config: Path) -> tuple[dict, dict]:
    """Returns the metafile of a config's family, and the config's entry in it."""
    file = config.with_name("metafile.yml")
    meta = _read_metafile(file)
    for entry in meta["Models"] or []:
        if entry["Name"] == config.stem:
            return meta, entry
    raise InputError(
        f"{str(file)!r} must have an entry of {config.stem}; run "
        "tools/misc/update_model_zoo.py first"
    )


def render_pages(root: Path) -> dict[Path, str]:
    """Renders ``model_zoo.md`` and the tables in README files.

    Those of the families list their models; ``README.md`` and ``docs/stability.md``
    list what published comparisons gave.

    Args:
        root (Path): Root of the repository.

    Returns:
        dict[Path, str]: Content by path.

    Raises:
        InputError: If a README file lacks the marks between which the table goes.
    """
    latencies = _read_latencies(root)
    pages = {}
    measured: list[list[str]] = []
    families: list[list[str]] = []
    published: list[dict] = []
    for file in sorted((root / "configs").glob("[!_]*/metafile.yml")):
        meta = _read_metafile(file)
        readme = file.with_name("README.md")
        models = sorted(meta["Models"], key=_sort_key)
        rows = [_make_row(model, latencies) for model in models]
        published += [model for model in models if "Weights" in model]
        table = make_table(_HEADER, _add_links(rows, "", "../../"))
        pages[readme] = _fill(readme, table)
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
    pages[page] = _fill(page, make_table(_WEIGHTS_HEADER, rows))
    results = root / "comparisons" / "results"
    page = root / "README.md"
    pages[page] = _fill(page, render_overview(results, "comparisons/results"))
    page = root / "docs" / "stability.md"
    pages[page] = _fill(page, render_steadiness(results / "stability_flowers12_lite0"))
    return pages


def _fill(page: Path, table: str) -> str:
    """Returns the text of a page with a table between the marks."""
    text = page.read_text() if page.is_file() else ""
    if not _TABLE.search(text):
        raise InputError(f"{str(page)!r} must have {_MARKS[0]} and {_MARKS[1]}")
    before, after = _TABLE.split(text, maxsplit=1)
    return f"{before}{_MARKS[0]}\n\n{table}\n\n{_MARKS[1]}{after}"


def _sort_key(model: dict) -> tuple[str, float, str]:
    """Puts a learned config below its control, and inputs of a recipe in order."""
    head, _, recipe = model["Name"].partition("_")
    resizer, factor = re.fullmatch(r"(.*)x([\d.]+)", head).groups()  # type: ignore[union-attr]
    return recipe, float(factor), resizer


def _make_row(model: dict, latencies: dict[str, str]) -> list[str]:
    meta = model["Metadata"]
    published = meta.get("Published")
    results = model.get("Results")
    # Squares by one side.
    sizes = [re.sub(r"^(\d+)x\1$", r"\1", meta[key]) for key in ("Input", "Output")]
    ours = "-"
    if results:
        ours = f"{show_metrics(results[0]['Metrics'])} ({meta['Measured']})"
    return [
        model["Name"],
        meta["Resizer"],
        " -> ".join(sizes),
        f"{meta['Parameters'] / 1e6:.2f}",
        f"{meta['Resizer FLOPs'] / 1e9:.3f} / {meta['FLOPs'] / 1e9:.3f}",
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


def _read_metafile(file: Path) -> dict:
    if not file.is_file():
        raise InputError(f"{str(file)!r} is missing; it must have `Collections`")
    return yaml.safe_load(file.read_text())


def _drop_setting(name: str) -> str:
    """Drops from a config's name what concerns its training alone."""
    return re.sub(r"(xb\d+)-[\w-]+?_", r"\1_", name)


def _read_latencies(root: Path) -> dict[str, str]:
    """Returns the measured ratios of learned configs, by name."""
    with open(root / _LATENCIES, newline="") as file:
        return {
            row["config"]: f"{float(row['ratio']):.1f}" for row in csv.DictReader(file)
        }
