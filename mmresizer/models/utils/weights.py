"""Loading of checkpoints, and checks that their weights fit a model."""

import hashlib
from collections import Counter
from collections.abc import Mapping

import torch
from mmengine.model import BaseTTAModel
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from mmresizer.utils import InputError
from mmresizer.utils.errors import describe_error

# A checkpoint to start from must have this share of the backbone's tensors. Not all:
# backbones adapt position tables to the image size while they load them.
_MIN_MATCHING_PART = 0.75


def load_checkpoint(path: str) -> dict:
    """Loads a checkpoint of weights, or of a training run.

    Args:
        path (str): Local path, ``mmresizer://NAME``, or anything else that mmengine's
            loader takes.

    Returns:
        dict: The checkpoint. It has the weights under "state_dict", by their names
        without the "module." of a wrapper.

    Raises:
        InputError: If it cannot be loaded safely (:mod:`mmresizer.hub.checkpoints`), or
            has no weights.
    """
    try:
        checkpoint = CheckpointLoader.load_checkpoint(path, "cpu", logger="silent")
    except (InputError, OSError):
        raise
    except Exception as e:  # from the loader of a scheme, such as a missing package
        raise InputError(
            f"cannot load the checkpoint {path!r} ({describe_error(e)})"
        ) from e
    if isinstance(checkpoint, Mapping):
        entries = checkpoint.get("state_dict", checkpoint)
        weights = {
            name.removeprefix("module."): value
            for name, value in (entries.items() if isinstance(entries, Mapping) else ())
            if isinstance(name, str) and isinstance(value, torch.Tensor)
        }
        if weights:
            return {**checkpoint, "state_dict": weights}
    raise InputError(f"{path!r} has no weights: expected a `state_dict` of tensors")


def digest_weights(weights: Mapping[str, Tensor]) -> str:
    """Returns the SHA-256 digest of names, shapes, types and values of tensors."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        data = value.detach().cpu().contiguous().view(-1).view(torch.uint8)
        digest.update(data.numpy().data)
    return digest.hexdigest()


def check_initial_weights(model: nn.Module, path: str) -> None:
    """Checks that a checkpoint to start training from fits the model's backbone.

    The resizer may be missing and the head may differ, as in any fine-tuning.

    Raises:
        InputError: If the checkpoint cannot be read or is of another architecture.
    """
    weights = load_checkpoint(path)["state_dict"]
    expected = {
        name: value.shape
        for name, value in model.state_dict().items()
        if not name.startswith(("resizer.", "head."))
        and not name.endswith("num_batches_tracked")
    }
    outcome = Counter(
        "missing"
        if name not in weights
        else "equal"
        if weights[name].shape == shape
        else "differs"
        for name, shape in expected.items()
    )
    if outcome["equal"] < _MIN_MATCHING_PART * len(expected):
        raise InputError(
            f"the checkpoint {path!r} is of another architecture: of the backbone's "
            f"{len(expected)} tensors {outcome['equal']} match, {outcome['differs']} "
            f"differ in shape and {outcome['missing']} are missing (weights of a "
            "backbone alone go into model.backbone.init_cfg)"
        )


def check_trained_weights(model: nn.Module, path: str) -> dict:
    """Checks that a checkpoint has exactly the weights of the model; returns it.

    Raises:
        InputError: If the checkpoint cannot be read or differs from the model.
    """
    checkpoint = load_checkpoint(path)
    check_weights(model, checkpoint["state_dict"], f"the checkpoint {path!r}")
    return checkpoint


def check_weights(model: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Loads weights, which have to be exactly those of the model.

    Args:
        model (nn.Module): The model.
        weights (Mapping[str, Tensor]): Weights by name.
        what (str): Where they are from, for the message.

    Raises:
        InputError: If they differ from those of the model.
    """
    target = model.module if isinstance(model, BaseTTAModel) else model
    try:
        missing, unexpected = target.load_state_dict(dict(weights), strict=False)
    except RuntimeError as e:
        faults = [line.strip() for line in str(e).splitlines()[1:] if line.strip()]
    else:
        # Some backbones drop tables from what they load and compute them anew.
        missing = [name for name in missing if name not in weights]
        faults = [
            f"{kind} keys: {', '.join(names)}"
            for kind, names in (("missing", missing), ("unexpected", unexpected))
            if names
        ]
    if faults:
        shown = "; ".join(fault[:200] for fault in faults[:2])
        raise InputError(f"{what} does not fit the model of the config: {shown}")
