"""Exported parts of a model, run by ONNX Runtime."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from .errors import InputError, describe_error


class ExportedModel:
    """A file that ``tools/deploy/export.py --format onnx`` wrote, on the CPU.

    Args:
        file (str | os.PathLike | bytes): The file, or what is in it.
        part (str): "resizer", "backbone" or "whole": what the file must be.

    Attributes:
        card (dict): The model card.
        content (bytes): The file.

    Raises:
        InputError: If the file is missing, is no exported model, or is another part.
    """

    def __init__(self, file: str | os.PathLike | bytes, part: str):
        import onnxruntime  # most of the time that a client takes to start

        name = "the file" if isinstance(file, bytes) else repr(str(file))
        try:
            self.content = file if isinstance(file, bytes) else Path(file).read_bytes()
        except OSError as e:
            raise InputError(f"cannot read {name} ({e.strerror})") from e
        try:
            self._session = onnxruntime.InferenceSession(
                self.content, providers=["CPUExecutionProvider"]
            )
            notes = self._session.get_modelmeta().custom_metadata_map
            self.card: dict = json.loads(notes["mmresizer"])
        except Exception as e:  # the runtime has kinds of its own
            raise InputError(
                f"{name} is no ONNX file of tools/deploy/export.py "
                f"({describe_error(e):.200})"
            ) from e
        if self.card["part"] != part:
            raise InputError(
                f"{name} must be the part {part!r} of a model, but is "
                f"{self.card['part']!r}"
            )
        self._input = self.card["input"]["name"]

    @property
    def split_id(self) -> str:
        """Digest of what the two sides of a split model must agree on.

        It is of the weights, the normalisation and the settings of the resizer, so it
        is the same for a resizer and its backbone, whatever their precision.
        """
        shared = {
            key: self.card[key]
            for key in ("weights_sha256", "normalization", "resizer")
        }
        text = json.dumps(shared, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of what a resizer gives.

        Raises:
            InputError: If the size depends on that of the image.
        """
        size = self.card["resizer"]["output_size"]
        if size is None:
            raise InputError(
                "the resizer must have an output_size, but its output follows the "
                "size of the image"
            )
        end = "output" if self.card["part"] == "resizer" else "input"
        return size[0], size[1], self.card[end]["shape"][1]

    def run(self, images: np.ndarray) -> np.ndarray:
        """Runs the model on images of shape (N, C, H, W).

        Raises:
            InputError: If it does not take them.
        """
        try:
            return self._session.run(None, {self._input: images})[0]
        except Exception as e:  # the runtime has kinds of its own
            shape = "x".join(map(str, images.shape))
            raise InputError(
                f"the exported {self.card['part']} does not take images of {shape}, "
                f"{images.dtype} ({describe_error(e):.200})"
            ) from e

    def resize(self, image: np.ndarray) -> np.ndarray:
        """Returns the levels of an image, (H, W, C), uint8; a resizer alone has them.

        Args:
            image (np.ndarray): Shape (H, W, 3), uint8, RGB.
        """
        batch = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
        return self.run(batch)[0].transpose(1, 2, 0)

    def check_split(self) -> None:
        """Checks that the file is for images of ``uint8`` and levels.

        Raises:
            InputError: If it is not.
        """
        ends = {"resizer": ("input", "output"), "backbone": ("input",)}
        for end in ends[self.card["part"]]:
            if self.card[end]["type"] != "uint8":
                raise InputError(
                    f"the {end} of the exported {self.card['part']} must be uint8, but "
                    f"is {self.card[end]['type']}: the resizer needs an output_range "
                    "(tools/deploy/calibrate.py), and its export --uint8"
                )
