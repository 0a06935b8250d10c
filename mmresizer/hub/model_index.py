"""The models of the zoo, as their metafiles describe them."""

import difflib
import fnmatch
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import yaml

from mmresizer.config.loading import load_config
from mmresizer.utils import InputError
from mmresizer.utils.download import download, is_published
from mmresizer.utils.files import make_folder, write_atomically, writing

# The prefix of a name of the zoo in place of a checkpoint.
SCHEME = "mmresizer://"

# The library whose inference takes a model, as metafiles call it.
MMDETECTION = "MMDetection"
MMSEGMENTATION = "MMSegmentation"
# Of image quality models: MMPretrain builds them, but its inferencers expect classes.
OURS = "mmresizer"
MMPRETRAIN = "MMPretrain"

# Configs, metafiles and weights, in the wheel and in the repository.
_ROOT = Path(__file__).parents[1] / ".mim"


@dataclass(frozen=True)
class Weights:
    """A published file of weights.

    Attributes:
        location (str): Address, or path below the root of the repository
            ("checkpoints/NAME").
        size (int): Number of bytes.
        sha256 (str): Digest.
    """

    location: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.location.rpartition("/")[2]

    def fetch(self) -> Path:
        """Finds the file in the package or in the cache, or downloads it.

        The cache is torch's (``TORCH_HOME``). ``MMRESIZER_ZOO_URL`` in the environment
        is an address with a folder ``checkpoints/``; it replaces the published one.
        ``MMRESIZER_OFFLINE=1`` forbids downloads.

        Returns:
            Path: The file, of the right size and digest.

        Raises:
            InputError: If the file is missing and cannot be downloaded.
        """
        digest = f"sha256:{self.sha256}"
        cached = Path(torch.hub.get_dir()) / "checkpoints" / self.name
        for path in (_ROOT / "checkpoints" / self.name, cached):
            if is_published(path, digest, self.size):
                return path
        url, mirror = self.location, os.environ.get("MMRESIZER_ZOO_URL")
        if mirror:
            if not mirror.startswith(("http://", "https://")):
                raise InputError(
                    "MMRESIZER_ZOO_URL must begin with http:// or https://, got "
                    f"{mirror!r}"
                )
            url = f"{mirror.rstrip('/')}/checkpoints/{self.name}"
        elif "://" not in url:
            raise InputError(
                f"the weights {self.location!r} are not part of this installation, or "
                "damaged there; set MMRESIZER_ZOO_URL to the address they are below"
            )
        check_online(url)
        return download(url, cached, digest, self.size)


@dataclass(frozen=True)
class ZooModel:
    """A model of the zoo.

    Attributes:
        name (str): Name, which is that of its config.
        config (Path): File of the config.
        data (str): What it is trained on.
        metrics (dict[str, float]): What was measured, such as "Top 1 Accuracy" (%).
        measured (str, optional): Seed, machine, version and date of the measurement.
        weights (Weights, optional): Weights of resizer and backbone.
        resizer (Weights, optional): Weights of the resizer alone.
        licence (str, optional): Licence of the weights.
        library (str): The library whose inference takes the model: "MMPretrain" for
            classifiers, "MMDetection", "MMSegmentation", or "mmresizer" for models of
            image quality.
    """

    name: str
    config: Path
    data: str
    metrics: dict[str, float]
    measured: str | None
    weights: Weights | None
    resizer: Weights | None
    licence: str | None
    library: str

    def find_weights(self) -> Weights:
        """Returns the published weights.

        Raises:
            InputError: If there are none.
        """
        if self.weights is None:
            raise InputError(
                f"the model {self.name!r} has no published weights (those that have: "
                "python -m mmresizer zoo list --weights)"
            )
        return self.weights


def show_metrics(metrics: dict[str, float]) -> str:
    """Returns metrics in words: an accuracy as a number, others with their names."""
    if "Top 1 Accuracy" in metrics:
        return f"{metrics['Top 1 Accuracy']:.1f}"
    return ", ".join(f"{key} {value:.3f}" for key, value in metrics.items()) or "-"


def check_online(url: str) -> None:
    """Checks that downloads are allowed.

    Raises:
        InputError: If ``MMRESIZER_OFFLINE`` is set, and not to 0.
    """
    if os.environ.get("MMRESIZER_OFFLINE", "0") != "0":
        raise InputError(f"{url} is not in the cache, and MMRESIZER_OFFLINE is set")


@cache
def _read_index() -> dict[str, ZooModel]:
    try:
        index = yaml.safe_load((_ROOT / "model-index.yml").read_text())
        return {
            entry["Name"]: _read_entry(entry)
            for file in index["Import"]
            for entry in yaml.safe_load((_ROOT / file).read_text())["Models"]
        }
    except (OSError, yaml.YAMLError, KeyError, TypeError) as e:
        raise InputError(
            f"cannot read the model index below {str(_ROOT)!r} "
            f"({type(e).__name__}: {e})"
        ) from e


def _read_entry(entry: dict) -> ZooModel:
    facts = entry["Metadata"]
    results = entry.get("Results")
    return ZooModel(
        name=entry["Name"],
        config=_ROOT / entry["Config"],
        data=facts["Training Data"],
        metrics=results[0]["Metrics"] if results else {},
        measured=facts.get("Measured"),
        weights=_read_weights(entry.get("Weights"), "Weights", facts),
        resizer=_read_weights(facts.get("Resizer Weights"), "Resizer Weights", facts),
        licence=facts.get("License"),
        library=facts.get("Library", MMPRETRAIN),
    )


def _read_weights(location: str | None, key: str, facts: dict) -> Weights | None:
    if location is None:
        return None
    return Weights(location, facts[f"{key} Size"], facts[f"{key} SHA256"])


def list_models(pattern: str = "*") -> list[ZooModel]:
    """Lists the models of the zoo.

    Args:
        pattern (str): Shell-style pattern of names. Defaults to "*", all.

    Examples:
        >>> from mmresizer.hub import list_models
        >>> [model.metrics for model in list_models("resizer*xb32_fine-textures*")]
        [{'Top 1 Accuracy': 100.0}]
    """
    models = _read_index()
    return [models[name] for name in sorted(fnmatch.filter(models, pattern))]


def find_model(name: str) -> ZooModel:
    """Returns a model of the zoo by its name.

    Raises:
        InputError: If there is no model of this name. The message has similar names.
    """
    models = _read_index()
    name = str(name).removeprefix(SCHEME).lower()  # as MMPretrain does
    if name not in models:
        similar = difflib.get_close_matches(name, models, n=3, cutoff=0.3)
        hint = f"; similar: {', '.join(similar)}" if similar else ""
        raise InputError(
            f"the zoo has no model {name!r} (python -m mmresizer zoo list){hint}"
        )
    return models[name]


def download_models(names: str | Iterable[str], dest: str | os.PathLike) -> list[Path]:
    """Puts weights and whole configs of models into a folder.

    Args:
        names (str | Iterable[str]): Names of models that have weights.
        dest (str | os.PathLike): The folder, which is made.

    Returns:
        list[Path]: For each model its weights, the weights of the resizer alone if they
        are published, and its config, in one file.

    Raises:
        InputError: If a model is not in the zoo, has no weights, or they cannot be
            downloaded.
    """
    names = [names] if isinstance(names, str) else names
    models = [find_model(name) for name in names]
    for model in models:
        model.find_weights()
    folder = make_folder(dest)
    written = []
    for model in models:
        for weights in (model.weights, model.resizer):
            if weights is None:
                continue
            path = folder / weights.name
            if not is_published(path, f"sha256:{weights.sha256}", weights.size):
                content = weights.fetch().read_bytes()
                with writing(path):
                    write_atomically(path, content)
            written.append(path)
        cfg = load_config(str(model.config))
        cfg.pop("launcher", None)
        path = folder / f"{model.name}.py"
        with writing(path):
            write_atomically(path, cfg.pretty_text)
        written.append(path)
    return written
