"""Checkpoints of MMPretrain's plain classifiers, to and from those with a resizer."""

from collections.abc import Mapping

from torch import Tensor

from mmresizer.utils import InputError


def add_resizer(
    weights: Mapping[str, Tensor], resizer: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Puts a resizer in front of a plain classifier.

    Args:
        weights (Mapping[str, Tensor]): Weights of the plain classifier.
        resizer (Mapping[str, Tensor]): Weights of the resizer, alone or with its
            classifier.

    Returns:
        dict[str, Tensor]: Weights of a :class:`mmresizer.ResizerClassifier`.

    Raises:
        InputError: If the classifier has a resizer already, or the weights are not
            those of a classifier and a resizer.
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
    """Splits a classifier with a resizer.

    Args:
        weights (Mapping[str, Tensor]): Weights of a
            :class:`mmresizer.ResizerClassifier`.

    Returns:
        tuple[dict[str, Tensor], dict[str, Tensor]]: Weights of the plain classifier,
        and of the resizer alone; an interpolation has none.

    Raises:
        InputError: If the resizer is mounted inside another model, such as timm's.
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
