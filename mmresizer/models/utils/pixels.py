"""Between the pixels of images and the numbers that a resizer gets."""

import torch
from torch import Tensor, nn


def normalize_images(model: nn.Module, images: Tensor) -> Tensor:
    """Returns images as a model hands them to its resizer.

    Args:
        model (nn.Module): A model. One without a data preprocessor gets the pixels as
            they are, on the device of the images.
        images (Tensor): Shape (N, C, H, W), BGR, 0 to 255.

    Returns:
        Tensor: Of the same shape: the data preprocessor's padding is cut off.
    """
    preprocessor = getattr(model, "data_preprocessor", None)
    if preprocessor is None:
        return images.float()
    height, width = images.shape[-2:]
    normalized = preprocessor({"inputs": images}, training=False)["inputs"]
    return normalized[..., :height, :width]


def restore_pixels(model: nn.Module, images: Tensor) -> Tensor:
    """Undoes :func:`normalize_images`: returns images in BGR, 0 to 255, float32.

    Args:
        model (nn.Module): The model.
        images (Tensor): Shape (N, C, H, W), such as the output of its resizer.
    """
    preprocessor = getattr(model, "data_preprocessor", None)
    mean = getattr(preprocessor, "mean", images.new_zeros(1, 1, 1))
    std = getattr(preprocessor, "std", images.new_ones(1, 1, 1))
    pixels = (images * std + mean).float()
    return pixels.flip(1) if takes_rgb(model) and pixels.shape[1] == 3 else pixels


def round_pixels(model: nn.Module, images: Tensor) -> Tensor:
    """Does what :func:`restore_pixels` does, cut and rounded to uint8."""
    return restore_pixels(model, images).clamp(0, 255).round().to(torch.uint8)


def takes_rgb(model: nn.Module) -> bool:
    """Says whether a model's data preprocessor turns BGR into RGB."""
    preprocessor = getattr(model, "data_preprocessor", None)
    # The first is the name in MMPretrain, the second in mmengine and MMDetection.
    names = ("to_rgb", "_channel_conversion")
    return any(getattr(preprocessor, name, False) for name in names)
