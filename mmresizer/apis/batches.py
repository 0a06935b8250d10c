"""The loop of inference: images are loaded, grouped by size and run in batches."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from mmresizer.datasets.transforms import LoadImageFromFile
from mmresizer.models import BaseResizer
from mmresizer.utils import InputError

from .images import Source, to_tensors

Result = TypeVar("Result")


class LoadedImages(Dataset):
    """Loads images. What cannot be loaded or prepared is its error.

    Args:
        sources (Sequence[Source]): See :func:`mmresizer.apis.images.list_images`.
        load (LoadImageFromFile): The loader.
        prepare (Callable, optional): Turns an image, of shape (C, H, W), BGR, 0 to 255,
            into the input of the model. Its :class:`InputError` is that of the image.
            Defaults to the image as it is.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        load: LoadImageFromFile,
        prepare: Callable[[Tensor], Tensor] | None = None,
    ):
        self.sources = sources
        self.prepare = prepare
        self.load = load

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.sources)

    def __getitem__(self, index: int) -> tuple[int, Tensor | InputError]:
        """Returns the index and the image, or its error."""
        source = self.sources[index]
        image = source.image
        try:
            if not isinstance(image, Tensor):
                image = to_tensors(self.load({"img_path": image})["img"])[0]
        except InputError as e:
            return index, InputError(str(e))
        if self.prepare is None:
            return index, image
        try:
            return index, self.prepare(image)
        except InputError as e:
            return index, InputError(f"cannot prepare the image {source.label!r}: {e}")


def loader_for(resizer: BaseResizer) -> LoadImageFromFile:
    """Returns a loader of images with the channels that a resizer takes."""
    is_grey = resizer.in_channels == 1
    return LoadImageFromFile(color_type="grayscale" if is_grey else "color")


def group_by_size(images: Sequence[Tensor]) -> list[list[int]]:
    """Returns the indices of the images of each size, in the order of the first."""
    sizes: dict[tuple, list[int]] = {}
    for i, image in enumerate(images):
        sizes.setdefault(tuple(image.shape), []).append(i)
    return list(sizes.values())


def run_in_batches(
    images: LoadedImages,
    run: Callable[[Tensor, list[str]], Sequence[Result]],
    verb: str,
    batch_size: int,
    num_workers: int,
    on_error: Callable[[str, InputError], None] | None,
    progress: bool,
) -> Iterator[tuple[int, Result]]:
    """Runs a model on images; those of one size make a batch.

    Args:
        images (LoadedImages): The images.
        run (Callable): Takes a batch, of shape (N, C, H, W), and the labels of its
            images, and returns a result for each of them. Its :class:`InputError` is
            that of each image.
        verb (str): What ``run`` does with an image, for messages.
        batch_size (int): Largest number of images at a time.
        num_workers (int): Processes that load and prepare images; 0 for this one.
        on_error (Callable, optional): Called with the label of an image at fault, and
            the error. The image is left out. Without ``on_error`` the first error is
            raised.
        progress (bool): Whether to show a progress bar.

    Yields:
        tuple[int, Result]: Index and result of each image, in the order of the images.

    Raises:
        InputError: If an image is at fault and ``on_error`` is None.
    """
    loader = DataLoader(
        images, batch_size=batch_size, num_workers=num_workers, collate_fn=list
    )
    labels = [source.label for source in images.sources]
    with tqdm(
        total=len(images), unit="image", disable=None if progress else True
    ) as bar:
        for loaded in loader:
            outcomes = _run(loaded, run, verb, labels)
            for index, outcome in sorted(outcomes.items()):
                if not isinstance(outcome, InputError):
                    yield index, outcome
                elif on_error is None:
                    raise outcome
                else:
                    on_error(labels[index], outcome)
            bar.update(len(loaded))


def _run(
    loaded: Sequence[tuple[int, Tensor | InputError]],
    run: Callable[[Tensor, list[str]], Sequence[Result]],
    verb: str,
    labels: Sequence[str],
) -> dict[int, Result | InputError]:
    """Returns the result of each image, or its error, by its index."""
    outcomes: dict[int, Result | InputError] = {
        index: image for index, image in loaded if isinstance(image, InputError)
    }
    indices = [index for index, image in loaded if isinstance(image, Tensor)]
    images = [image for _, image in loaded if isinstance(image, Tensor)]
    for group in group_by_size(images):
        batch = torch.stack([images[i] for i in group])
        members = [indices[i] for i in group]
        try:
            results = run(batch, [labels[index] for index in members])
        except InputError as e:
            for index in members:
                message = f"cannot {verb} the image {labels[index]!r}: {e}"
                outcomes[index] = InputError(message)
        else:
            outcomes |= zip(members, results, strict=True)
    return outcomes
