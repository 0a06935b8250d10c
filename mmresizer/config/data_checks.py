"""Checks of built datasets before a run: head against dataset against files.

Images are not opened, but for some label maps. Other labels are in memory; names of
classes are read once more from files of annotations.
"""

import json
import logging
import os
import pickle
import re
import xml.etree.ElementTree as ET
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import pairwise, zip_longest
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.dist import is_main_process
from mmengine.fileio import get_text, list_from_file
from mmengine.logging import print_log
from mmpretrain.datasets import CustomDataset
from mmpretrain.models import BaseClassifier
from mmpretrain.models.heads import RegressionHead
from torch import nn

from mmresizer.datasets.transforms import read_image_size
from mmresizer.models.heads import IQAHead
from mmresizer.registry import DATASETS
from mmresizer.utils import InputError
from mmresizer.utils.errors import describe_error
from mmresizer.utils.files import IMAGE_EXTENSIONS

from .checks import iter_datasets

# What the dataset of a loop is for.
USES = dict(train="training", val="validation", test="test")

# Parts of detectors whose `num_classes` is not the number of the dataset's classes, by
# their names or those of their types.
_NO_HEADS = re.compile(r"backbone|neck|rpn_head|semantic_head|\w*RPN\w*")
_SHOWN = 10
# Label maps that are read, spread over the dataset.
_LABEL_MAPS = 16
_INTEGER = (int, np.integer)
_SEVERAL = (list, tuple, np.ndarray)


class _Part(NamedTuple):
    """A dataset without wrappers, and what it is for, one of ``USES``."""

    use: str
    dataset: Any

    @property
    def place(self) -> str:
        """The file of annotations or the folder of images."""
        prefix = getattr(self.dataset, "data_prefix", "")
        if isinstance(prefix, Mapping):
            prefix = next(iter(prefix.values()), "")
        return str(getattr(self.dataset, "ann_file", "") or prefix)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, () if there are none."""
        return tuple(getattr(self.dataset, "metainfo", {}).get("classes") or ())

    @property
    def folders(self) -> list[str]:
        """The folders that are the classes, by label; [] if they are not."""
        indices = getattr(self.dataset, "folder_to_idx", {})
        return sorted(indices, key=indices.__getitem__)

    @property
    def is_loaded(self) -> bool:
        """Whether the dataset has read its files, see ``lazy_init``."""
        return getattr(self.dataset, "_fully_initialized", True)

    def read(self, path: str) -> str:
        """Reads a file of annotations."""
        options = getattr(self.dataset, "backend_args", None)
        return get_text(path, backend_args=options)

    def infos(self) -> Iterator[dict]:
        """Yields the stored annotations of each image.

        ``get_data_info`` would copy them and, in some datasets, make the image.
        """
        if not self.is_loaded:
            return
        if not getattr(self.dataset, "serialize_data", False):
            yield from getattr(self.dataset, "data_list", ())
            return
        stored, start = memoryview(self.dataset.data_bytes), 0
        for end in self.dataset.data_address.tolist():
            yield pickle.loads(stored[start:end])
            start = end


def check_datasets(cfg: Config, model: nn.Module, datasets: Mapping[str, Any]) -> None:
    """Checks that the datasets of a run fit the model, their files and each other.

    A dataset in wrappers, such as RepeatDataset or ConcatDataset, is checked like one
    without them. Of one that is not loaded yet, only the names of the classes are
    checked, and their number.

    Args:
        cfg (Config): Config of the run.
        model (nn.Module): The model.
        datasets (Mapping[str, Any]): The built datasets, or lists of them, of "train",
            "val" and "test".

    Raises:
        InputError: If a label is outside the range of the head, the numbers of classes
            of head and dataset differ, names of classes are not those of the files,
            a class has no images, a label map cannot be read, a detector would train
            without boxes, or two datasets have other classes.
    """
    heads = find_heads(cfg, model)
    parts = [
        _Part(USES[split], inner)
        for split, dataset in datasets.items()
        for inner in _unwrap(dataset)
    ]
    _check_same_classes(parts)
    found = {}
    for part in parts:
        _check_names(part)
        _check_number(part, heads, isinstance(_inner(model), BaseClassifier))
        found[part] = _check_labels(part, heads)
        _check_folders(part, found[part].labels)
        _check_label_maps(part, min(heads.values(), default=0))
    _check_boxes({part: labels for part, labels in found.items() if labels.of_boxes})


def check_trained_classes(checkpoint: Mapping, dataset: Any) -> None:
    """Checks that labels mean what they meant when a model was trained.

    Args:
        checkpoint (Mapping): Whose ``meta`` may have the names of the classes.
        dataset (Any): The built dataset.

    Raises:
        InputError: If a label has the name that was another label's.
    """
    meta = (checkpoint.get("meta") or {}).get("dataset_meta") or {}
    trained = meta.get("classes") or ()
    for inner in _unwrap(dataset):
        part = _Part("", inner)
        label = _first_other(trained, part.classes)
        if label is not None:
            raise InputError(
                f"the classes must be those that the model was trained with, but label "
                f"{label} was {trained[label]!r}, and is {part.classes[label]!r} in "
                f"{part.place!r}"
            )


def explain_failure(split: str, dataloader: Mapping) -> None:
    """Looks for the reason why the dataset of a dataloader could not be built.

    Args:
        split (str): "train", "val" or "test".
        dataloader (Mapping): Config of the dataloader.

    Raises:
        InputError: If a line of a list cannot be read, or names of classes are not
            those of the files.
    """
    for config in iter_datasets(dataloader):
        for change in (dict(lazy_init=True), dict(filter_cfg=None)):
            if not change.keys() <= {"lazy_init", *config}:
                continue
            try:
                dataset = DATASETS.build({**config, **change})
            except Exception:  # the reason is another one
                continue
            if "lazy_init" in change:
                _check_lists(dataset)
            else:
                part = _Part(USES[split], dataset)
                _check_names(part)
                _check_boxes({part: _check_labels(part, {})})


def _unwrap(dataset: Any) -> Iterator[Any]:
    """Yields the datasets inside any wrappers or lists."""
    inner = dataset if isinstance(dataset, list) else getattr(dataset, "datasets", [])
    if hasattr(dataset, "dataset"):
        inner = [dataset.dataset]
    if isinstance(dataset, BaseDataset) or not inner:
        inner = []
        yield dataset
    for each in inner:
        yield from _unwrap(each)


def _inner(model: nn.Module) -> nn.Module:
    """Returns the model inside the wrappers of a distributed job or augmentation."""
    while isinstance(inner := getattr(model, "module", None), nn.Module):
        model = inner
    return model


def find_heads(cfg: Config, model: nn.Module) -> dict[str, int]:
    """Returns the numbers of classes of the parts of a model that predict classes."""
    model = _inner(model)
    if not isinstance(model, BaseClassifier):
        return {
            f"model.{name}.num_classes": module.num_classes
            for name, module in model.named_modules()
            if name
            and _is_count(getattr(module, "num_classes", None))
            and not getattr(module, "class_agnostic", False)
            and not any(
                map(_NO_HEADS.fullmatch, [*name.split("."), type(module).__name__])
            )
        }
    head = getattr(model, "head", None)
    if isinstance(head, IQAHead | RegressionHead):
        return {}
    config = cfg.model.get("module", cfg.model).get("head") or {}
    counts = {
        "model.head.num_classes": getattr(head, "num_classes", None)
        or config.get("num_classes"),  # some heads do not keep it
        "model.backbone.num_classes": _num_classes(getattr(model, "backbone", None)),
        "model.num_classes": _num_classes(getattr(model, "model", None)),
    }
    found = [(name, count) for name, count in counts.items() if _is_count(count)]
    return dict(found[:1])


def _num_classes(module: Any) -> Any:
    """Returns the number of outputs of a classifier, by timm's or HF's name for it."""
    return getattr(module, "num_classes", getattr(module, "num_labels", None))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and value > 0


def _check_same_classes(parts: Sequence[_Part]) -> None:
    """Checks that labels mean the same in all datasets of a run."""
    with_folders = [part for part in parts if part.folders]
    for one, other in pairwise(with_folders):
        if differing := set(one.folders) ^ set(other.folders):
            raise InputError(
                f"the folders {one.place!r} and {other.place!r} must hold the same "
                f"classes, but {min(differing)!r} is in one of them only"
            )
    with_names = [part for part in parts if part.classes]
    for one, other in pairwise(with_names):
        label = _first_other(one.classes, other.classes)
        if label is not None:
            raise InputError(
                f"all data must have the same classes, but label {label} is "
                f"{one.classes[label]!r} in {one.place!r} and {other.classes[label]!r} "
                f"in {other.place!r}"
            )


def _first_other(names: Sequence[str], others: Sequence[str]) -> int | None:
    """Returns the first label with one name here and that of another label there."""
    all_names, all_others = set(names), set(others)
    for label, (name, other) in enumerate(zip(names, others, strict=False)):
        if name != other and (name in all_others or other in all_names):
            return label
    return None


def _check_names(part: _Part) -> None:
    """Checks the names of the classes against the folders or the annotation file."""
    dataset, classes = part.dataset, part.classes
    given = getattr(dataset, "metainfo", {}).get("classes")
    if isinstance(given, str):
        raise InputError(
            f"metainfo.classes of the {part.use} data must be a list of names, such as "
            f"({given!r},), but is {given!r}"
        )
    found, accepted = _read_names(part)
    if not found and not accepted:
        return
    own = tuple(getattr(dataset, "METAINFO", {}).get("classes", ()))
    # A dataset may have names of its own for its folders, and a file others than
    # `classes`. But each has to have all, and none that belongs to another label.
    strict = classes != own if part.folders else len(found) != len(classes)
    for label, (name, there) in enumerate(zip_longest(classes, found)):
        if name != there and (strict or name in found or there in classes):
            called = f"calls {there!r}" if there else "does not have"
            raise InputError(
                f"metainfo.classes of the {part.use} data calls label {label} "
                f"{name!r}, which {part.place!r} {called}; the names there are, in "
                f"order: {_join(accepted)}"
            )


def _read_names(part: _Part) -> tuple[list[str], list[str]]:
    """Returns the names of a dataset's labels, and of all classes, in its files."""
    dataset = part.dataset
    if part.folders:
        return part.folders, part.folders
    is_json = isinstance(dataset, BaseDataset) and part.place.endswith(".json")
    if not is_json or not part.is_loaded or not part.classes:
        return [], []
    if hasattr(dataset, "cat2label"):
        categories = _read_value(part, "categories") or []
        by_id = {category["id"]: category["name"] for category in categories}
        ids = sorted(dataset.cat2label, key=dataset.cat2label.__getitem__)
        return [by_id[i] for i in ids if i in by_id], [*by_id.values()]
    if type(dataset).load_data_list is BaseDataset.load_data_list:
        meta = _read_value(part, "metainfo") or {}
        categories = sorted(meta.get("categories", ()), key=lambda item: item["id"])
        names = meta.get("classes") or [
            item.get("category_name") for item in categories
        ]
        if None in names:
            return [], []
        # `metainfo.classes` may have more.
        return list(names)[: len(part.classes)], list(names)
    return [], []


def _read_value(part: _Part, key: str) -> Any:
    """Returns the value of a key of a JSON file, without parsing all of the file."""
    text = part.read(part.place)
    decoder = json.JSONDecoder()
    for match in re.finditer(rf'"{key}"\s*:\s*(?=[\[{{])', text):
        value = decoder.raw_decode(text, match.end())[0]
        if isinstance(value, dict) or all(
            isinstance(item, dict) and {"id", "name"} <= item.keys() for item in value
        ):
            return value
    return None


def _check_number(part: _Part, heads: Mapping[str, int], classifies: bool) -> None:
    """Checks the number of classes of a dataset against that of the heads."""
    names = part.folders or part.classes
    meta = getattr(part.dataset, "metainfo", {})
    # Heads of prompted detectors take any text, and panoptic ones split the classes.
    if getattr(part.dataset, "return_classes", False) or "thing_classes" in meta:
        return
    for head, count in heads.items():
        if part.folders and len(names) != count:
            raise InputError(
                f"the folder {part.place!r} must hold one folder for each of the "
                f"{count} classes of {head}, but holds {len(names)}: {_join(names)}"
            )
        # A classifier may have outputs that the names of a list do not use.
        if names and (len(names) > count if classifies else len(names) != count):
            raise InputError(
                f"the {part.use} data has {len(names)} classes ({_join(names)}), but "
                f"{head} is {count}"
            )


def _check_folders(part: _Part, labels: Container[int]) -> None:
    """Checks that each folder of a class has images that the dataset takes.

    Args:
        part (_Part): The dataset.
        labels (Container[int]): Those that have images.
    """
    left_out, example = 0, ""
    accepted = ", ".join(sorted(getattr(part.dataset, "extensions", ())))
    for label, folder in enumerate(part.folders if "://" not in part.place else ()):
        if label in labels and not is_main_process():
            continue  # one process looks for images that are left out
        path = os.path.join(part.place, folder)
        files = [
            os.path.join(root, name)
            for root, _, names in os.walk(path, followlinks=True)
            for name in names
            if not name.startswith(".")
        ]
        others = [
            file
            for file in files
            if file.lower().endswith(IMAGE_EXTENSIONS)
            and not part.dataset.is_valid_file(file)
        ]
        # A dataset in a wrapper may have no labels yet.
        taken = label in labels or any(map(part.dataset.is_valid_file, files))
        # Without images of a class, others are tested all right, but not learned.
        if not taken and (others or part.use == "training"):
            held = f"only others, such as {min(others)!r}" if others else "none"
            raise InputError(
                f"the folder {path!r} must hold images that end "
                f"in one of {accepted} (`extensions` of the dataset sets them), but "
                f"holds {held}"
            )
        left_out += len(others)
        example = example or min(others, default="")
    if left_out:
        print_log(
            f"{part.place!r} has images that are left out: {left_out:,}, such as "
            f"{example!r}; `extensions` of the dataset accepts {accepted}",
            logger="current",
            level=logging.WARNING,
        )


class _Labels(NamedTuple):
    """The labels of a dataset.

    Attributes:
        labels (set[int]): Those of images or boxes.
        of_boxes (bool): Whether they are those of boxes.
        xml_paths (list[str]): The files of annotations in XML.
    """

    labels: set[int]
    of_boxes: bool
    xml_paths: list[str]


def _check_labels(part: _Part, heads: Mapping[str, int]) -> _Labels:
    """Checks that labels are in range; returns those that are used."""
    count, named = min(heads.values(), default=0), len(part.classes)
    if getattr(part.dataset, "return_classes", False):  # prompted: any text
        count = named = 0
    used: set[int] = set()
    of_boxes, xml_paths = False, []
    for number, info in enumerate(part.infos()):
        if not isinstance(info, Mapping):  # of a dataset of another library
            break
        labels = info.get("gt_label")
        if (boxes := info.get("instances")) is not None:
            of_boxes, count = True, named or count
            used.update(box.get("bbox_label") for box in boxes)
            labels = [b.get("bbox_label") for b in boxes if not b.get("ignore_flag")]
        if (path := info.get("xml_path")) is not None:
            xml_paths.append(path)
        for label in labels if isinstance(labels, _SEVERAL) else (labels,):
            is_int = isinstance(label, _INTEGER)
            if not is_int and not isinstance(label, str | float):
                continue  # none, or of a kind of its own
            if count and not (is_int and 0 <= label < count):
                raise InputError(
                    f"labels of the {part.use} data must be ints from 0 to "
                    f"{count - 1}, but that of {info.get('img_path', number)!r} is "
                    f"{label!r}"
                )
            used.add(label)
    return _Labels(used, of_boxes, xml_paths)


def _check_label_maps(part: _Part, count: int) -> None:
    """Checks some label maps of a dataset for segmentation.

    Args:
        part (_Part): The dataset.
        count (int): Number of classes of the head; 0 if it is not known.
    """
    steps = getattr(getattr(part.dataset, "pipeline", None), "transforms", ())
    load = [step for step in steps if type(step).__name__ == "LoadAnnotations"]
    # MMSegmentation's; the maps of panoptic detectors have no classes.
    keys = {"seg_map_path", "reduce_zero_label"}
    infos = [i for i in part.infos() if isinstance(i, Mapping) and keys <= i.keys()]
    if not load or not infos or not count:
        return
    ignored = getattr(part.dataset, "ignore_index", 255)
    seen: set[int] = set()
    some = set(np.linspace(0, len(infos) - 1, min(len(infos), _LABEL_MAPS)).astype(int))
    # All of them if some do not have two classes.
    for number in [*sorted(some), *(n for n in range(len(infos)) if n not in some)]:
        if number not in some and len(seen) > 1:
            break
        seen |= _read_labels(part, infos[number], load[0], count, ignored)
    if len(seen) < min(count, 2) and part.use != USES["test"]:
        raise InputError(
            f"the label maps of the {part.use} data must have at least two classes, "
            f"but all {len(infos)} have {', '.join(map(str, seen)) or 'none'} alone; "
            f"pixels of {ignored} have no label"
        )


def _read_labels(
    part: _Part, info: Mapping, load: Any, count: int, ignored: int
) -> set[int]:
    """Returns the classes in a label map.

    Args:
        part (_Part): The dataset.
        info (Mapping): Of the image.
        load (Any): The transform that loads label maps.
        count (int): Number of classes.
        ignored (int): The label of pixels without one.
    """
    path = info["seg_map_path"]
    try:
        labels = load.transform({**info, "seg_fields": []})["gt_seg_map"]
    except Exception as e:  # whatever an image library says
        raise InputError(
            f"cannot read the label map {path!r} of the {part.use} data "
            f"({describe_error(e)})"
        ) from e
    if labels.ndim != 2:
        raise InputError(
            f"a label map must have one channel, the class of each pixel, but {path!r} "
            f"of the {part.use} data has the shape {labels.shape}"
        )
    if os.path.isfile(image := info["img_path"]):
        size = read_image_size(image)
        if size != labels.shape:
            raise InputError(
                f"a label map must have the size of its image, but {path!r} has "
                f"{labels.shape[0]}x{labels.shape[1]} pixels (height x width), and "
                f"{image!r} {size[0]}x{size[1]}"
            )
    found = {int(label) for label in np.unique(labels)} - {ignored}
    if wrong := [label for label in found if not 0 <= label < count]:
        raise InputError(
            f"labels of the {part.use} data must be ints from 0 to {count - 1}, or "
            f"{ignored} for none, but {path!r} has {max(wrong)}"
        )
    return found


def _check_boxes(found: Mapping[_Part, _Labels]) -> None:
    """Checks that a detector has boxes to learn and to be compared with.

    A dataset reads no box of a name that is not in its classes. Of several datasets
    for one use, some may have none.
    """
    everywhere = set().union(*(labels.labels for labels in found.values()))
    for part, labels in found.items():
        unused = [n for i, n in enumerate(part.classes) if i not in everywhere]
        # A small test set may lack a class.
        suspect = unused and (part.use == USES["train"] or not labels.labels)
        for path in labels.xml_paths if suspect else ():
            for name in ET.fromstring(part.read(path)).findall("object/name"):
                if name.text not in part.classes:
                    raise InputError(
                        f"metainfo.classes of the {part.use} data must have the names "
                        f"of the annotations, but no box is a {unused[0]!r}, and "
                        f"{path!r} has a {name.text!r}"
                    )
    for use in {part.use: None for part in found}:
        parts = [part for part in found if part.use == use]
        # A test set may be without annotations.
        if use != USES["test"] and not any(found[part].labels for part in parts):
            places = ", ".join(repr(part.place) for part in parts)
            raise InputError(
                f"the {use} data ({places}) must have boxes of the classes "
                f"{_join(parts[0].classes)}, but has none"
            )


def _check_lists(dataset: Any) -> None:
    """Checks the lines of the lists of a dataset that is not loaded yet."""
    main = getattr(dataset, "ann_file", "")
    labelled = isinstance(dataset, CustomDataset) and dataset.with_label
    paths = {path for path in vars(dataset).values() if isinstance(path, str)}
    for path in sorted(paths):
        is_list = path.endswith(".txt") or (path == main and labelled)
        if not is_list or not os.path.isfile(path):
            continue
        try:
            lines = list_from_file(path)
        except UnicodeDecodeError as e:
            raise InputError(f"{path!r} must be a text file in UTF-8 ({e})") from e
        for number, line in enumerate(lines, 1):
            wanted = ""
            if not line.strip():
                wanted = "not be blank"
            elif path == main and labelled and not _is_labelled(line):
                wanted = "be a path, a space and a label, such as 'a/1.png 0'"
            if wanted:
                raise InputError(
                    f"line {number} of {path!r} must {wanted}, but is {line!r}"
                )


def _is_labelled(line: str) -> bool:
    return re.fullmatch(r".+ [+-]?\d+", line.strip()) is not None


def _join(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(map(str, names[:_SHOWN])) + more
