"""Metafiles: facts about configs and their published weights."""

from pathlib import Path

import yaml
from mmengine.config import Config

from mmresizer.analysis.costs import (
    ModelCosts,
    fixed_input_size,
    model_costs,
)
from mmresizer.config.checks import find_task, has_mmdet
from mmresizer.config.loading import load_config
from mmresizer.registry import MODELS
from mmresizer.utils import InputError
from mmresizer.utils.files import file_digest, write_atomically

from .model_index import MMDETECTION, MMSEGMENTATION, OURS

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
    "textured-shapes-masks": "TexturedShapesMasks",
    "cityscapes": "Cityscapes",
    "ade20k": "ADE20K",
    "magnetic-tiles": "Magnetic tiles",
    "cub-100": "CUB-200-2011 (100 species)",
    "deep-pcb": "DeepPCB",
    "deep-pcb-patches": "DeepPCB (patches of 96 px)",
    "neu-steel": "NEU (steel, 200 px)",
    "playing-cards": "Playing cards",
    "rsscn7": "RSSCN7 (aerial scenes)",
    "scene-15": "Scene-15 (places)",
}


def list_configs(root: Path) -> list[Path]:
    """Lists the configs of the repository, without those in ``_base_``."""
    return sorted((root / "configs").glob("[!_]*/*.py"))


def update_metafiles(root: Path) -> None:
    """Writes what follows from the configs into the metafiles, and ``model-index.yml``.

    ``Results``, ``Weights`` and other facts that do not follow from a config are kept.
    Without MMDetection the entries of models that need it are kept as they are.

    Args:
        root (Path): Root of the repository.

    Raises:
        InputError: If a family has no metafile, or the dataset of a config is unknown.
    """
    families: dict[Path, list[Path]] = {}
    for path in list_configs(root):
        families.setdefault(path.parent, []).append(path)
    costs: dict[tuple, ModelCosts] = {}
    for folder, paths in families.items():
        file = folder / "metafile.yml"
        meta = read_metafile(file)
        (collection,) = meta["Collections"]
        known = {model["Name"]: model for model in meta.get("Models") or []}
        meta["Models"] = []
        for path in paths:
            entry = known.get(path.stem, {})
            facts = dict(entry.get("Metadata", {}))
            # Some segmentors have parts from there.
            needed = (facts.get("Library"), facts.get("Requires"))
            if MMDETECTION not in needed or has_mmdet():
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
    """Returns the facts about a config that its metafile states.

    Args:
        cfg (Config): The config.
        name (str): Its name.
        costs (dict): Costs by model and input size; new ones are added for the next
            call.

    Raises:
        InputError: If the dataset in the name is not known, or the model has no costs.
    """
    dataset = name.rsplit("_", 2)[1]
    if dataset not in _DATASETS:
        raise InputError(
            f"the dataset {dataset!r} of {name} must be one of {', '.join(_DATASETS)}"
        )
    size = fixed_input_size(cfg, name)
    key = (str(cfg.model), size)
    if key not in costs:
        costs[key] = model_costs(cfg, size)
    cost, resizer = costs[key], cfg.model.resizer
    paper = cost.resizer.paper_macs
    output = MODELS.build(resizer).get_output_size(size)
    return {
        **_find_library(cfg),
        "Training Data": _DATASETS[dataset],
        "Resizer": _describe_resizer(resizer),
        # As text: the search of mim takes no lists of numbers.
        "Input": f"{size[0]}x{size[1]}",
        "Output": f"{output[0]}x{output[1]}",
        "Parameters": cost.total.parameters,
        "FLOPs": cost.total.macs,
        "Resizer Parameters": cost.resizer.parameters,
        "Resizer FLOPs": cost.resizer.macs,
        **({"Resizer FLOPs in Paper": paper} if paper != cost.resizer.macs else {}),
    }


def _find_library(cfg: Config) -> dict[str, str]:
    """Returns the library whose inference takes the model, unless it is MMPretrain.

    A segmentor with parts of MMDetection also has "Requires".
    """
    task = find_task(cfg)
    if task == "detection":
        return {"Library": MMDETECTION}
    if task == "segmentation":
        has_parts = "'mmdet." in str(cfg.model)
        return {
            "Library": MMSEGMENTATION,
            **({"Requires": MMDETECTION} if has_parts else {}),
        }
    is_of_quality = (cfg.model.get("head") or {}).get("type") == "mmresizer.IQAHead"
    return {"Library": OURS} if is_of_quality else {}


def _describe_resizer(resizer: dict) -> str:
    if resizer["type"] == "mmresizer.LearnedResizer":
        parts = ["learned"]
        if resizer.get("antialias"):
            parts.append("antialiased")
        if (stride := resizer.get("stem_stride", 1)) > 1:
            parts.append(f"stride {stride}")
        if resizer.get("zero_init"):
            parts.append("zero_init")
        if resizer.get("norm_cfg", {}) is None:
            parts.append("no norm")
        if resizer.get("output_range"):
            parts.append("8 bits")
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
        config (Path): File of the config, which has an entry in the metafile.
        files (dict[str, Path]): "weights", "log" and perhaps "resizer".
        task (str): Name of the task in metafiles.
        metrics (dict[str, float]): Metrics after the last epoch, by their names in
            metafiles.
        measured (str): Seed, machine, version and date.
        trained (str): What the training started from, and how long it took.

    Raises:
        InputError: If the metafile has no entry of the config.
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
    """Checks that the metafile of a config's family has an entry of it.

    Raises:
        InputError: If it has none.
    """
    _find_entry(config)


def _find_entry(config: Path) -> tuple[dict, dict]:
    """Returns the metafile of a config's family, and the config's entry in it."""
    file = config.with_name("metafile.yml")
    meta = read_metafile(file)
    for entry in meta["Models"] or []:
        if entry["Name"] == config.stem:
            return meta, entry
    raise InputError(
        f"{str(file)!r} must have an entry of {config.stem}; run "
        "tools/misc/update_model_zoo.py first"
    )


def read_metafile(file: Path) -> dict:
    """Reads a metafile.

    Raises:
        InputError: If it is missing.
    """
    if not file.is_file():
        raise InputError(f"{str(file)!r} is missing; it must have `Collections`")
    return yaml.safe_load(file.read_text())
