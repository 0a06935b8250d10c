"""Checkpoints of MMPretrain's plain classifiers, and those with a resizer."""

from collections.abc import Mapping

from torch import Tensor

from mmresizer.utils import InputError


def add_resizer(
    weights: Mapping[str, Tensor], resizer: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Puts a resizer before a plain classifier.

    Args:
        weights (Mapping[str, Tensor]): Of the plain classifier.
        resizer (Mapping[str, Tensor]): Of the resizer, alone or with its classifier.

    Returns:
        dict[str, Tensor]: Those of a :class:`mmresizer.ResizerClassifier`.

    Raises:
        InputError: If there is a resizer already, or the weights are not those of a
            classifier and a resizer.
    """
    if any("resizer." in name for name in weights):
        raise InputError("the classifier's weights have a resizer already")
    if not any(name.startswith("backbone.") for name in weights):
        raise InputError(
            "the classifier's weights must be of MMPretrain's, 'backbone.*' and so on, "
            f"but have {next(iter(weights), 'none')!r}"
        )
    alone = split_resizer(resizer)[1] or resizer
    for name in alone:
        if name.startswith(("backbone.", "neck.", "head.")):
            raise InputError(
                "the resizer's weights must be of a resizer, alone or as 'resizer.*' "
                f"with its classifier, but have {name!r}"
            )
    return dict(weights) | {f"resizer.{name}": value for name, value in alone.items()}


def split_resizer(
    weights: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Takes a classifier with a resizer apart.

    Args:
        weights (Mapping[str, Tensor]): Of a :class:`mmresizer.ResizerClassifier`.

    Returns:
        tuple[dict[str, Tensor], dict[str, Tensor]]: Weights of the plain classifier,
        and of the resizer alone, which has none if it interpolates.

    Raises:
        InputError: If the resizer is mounted inside another model, of timm say.
    """
    plain, resizer = {}, {}
    for name, value in weights.items():
        if ".resizer." in name:
            raise InputError(
                "the weights must be of a ResizerClassifier, 'resizer.*', but have "
                f"{name!r}"
            )
        if name.startswith("resizer."):
            resizer[name.removeprefix("resizer.")] = value
        else:
            plain[name] = value
    return plain, resizer
