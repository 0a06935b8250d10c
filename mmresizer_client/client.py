"""Sends small images to a server, and gets classes."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .codecs import Codec, parse_codec
from .errors import InputError, describe_error
from .exported import ExportedModel
from .pipeline import Pipeline


@dataclass(frozen=True)
class Prediction:
    """A class and its score.

    Attributes:
        index (int): Number of the class.
        name (str): Its name.
        score (float): Its probability, from 0 to 1.
    """

    index: int
    name: str
    score: float


class Client:
    """Resizes images here, and has them classified by ``python -m mmresizer serve``.

    The resizer comes from the server, once. After that only small images leave the
    device.

    Args:
        url (str): Of the server, such as "http://127.0.0.1:8000".
        codec (str): How small images are written, by a name of :func:`parse_codec`.
            Defaults to "webp+planes", which is without loss.
        timeout (float): Seconds to wait for the server. Defaults to 10.

    Attributes:
        codec (Codec): How small images are written.
        resizer (ExportedModel): What runs here.

    Raises:
        InputError: If the server does not answer, or its resizer cannot be used here.
    """

    def __init__(self, url: str, codec: str = "webp+planes", timeout: float = 10):
        import requests

        if not url.startswith(("http://", "https://")):
            raise InputError(
                f"the address of a server must begin with http:// or https://, but got "
                f"{url!r}"
            )
        self._url = url.rstrip("/")
        self._timeout = timeout
        self._session = requests.Session()
        self.codec: Codec = parse_codec(codec)
        content = self._ask("GET", "/resizer.onnx")
        try:
            self.resizer = ExportedModel(content, "resizer")
        except InputError as e:
            raise InputError(f"{url!r} is no server of mmresizer: {e}") from e
        self.resizer.check_split()
        self._pipeline = Pipeline(self.resizer.card["test_pipeline"])

    def resize(self, image: str | os.PathLike | bytes) -> np.ndarray:
        """Resizes an image.

        Args:
            image (str | os.PathLike | bytes): A file, or what is in it.

        Returns:
            np.ndarray: Levels of shape (H, W, C), uint8.

        Raises:
            InputError: If it is missing, or no complete image.
        """
        if isinstance(image, bytes):
            return self.resizer.resize(self._pipeline(image))
        try:
            return self.resizer.resize(self._pipeline(Path(image).read_bytes()))
        except TypeError as e:
            raise InputError(
                f"an image must be a path, or bytes, but got a {type(image).__name__}"
            ) from e
        except OSError as e:
            raise InputError(
                f"cannot read the image {str(image)!r} ({e.strerror})"
            ) from e
        except InputError as e:
            raise InputError(f"cannot use the image {str(image)!r}: {e}") from e

    def encode(self, image: str | os.PathLike | bytes) -> bytes:
        """Returns what leaves the device: an image, resized and encoded.

        Raises:
            InputError: As :meth:`resize` does.
        """
        return self.codec.encode(self.resize(image))

    def classify(
        self, image: str | os.PathLike | bytes, top: int = 5
    ) -> list[Prediction]:
        """Returns the most probable classes of an image, the best first.

        Args:
            image (str | os.PathLike | bytes): A file, or what is in it.
            top (int): Number of classes. Defaults to 5.

        Raises:
            InputError: As :meth:`resize` does, or if the server refuses the image.
        """
        return self.send(self.encode(image), top)

    def send(self, encoded: bytes, top: int = 5) -> list[Prediction]:
        """Returns the most probable classes of what :meth:`encode` gave.

        Raises:
            InputError: If the server refuses it.
        """
        query = {
            "split_id": self.resizer.split_id,
            "codec": str(self.codec),
            "top": top,
        }
        answer = self._ask("POST", "/classify", params=query, data=encoded)
        return _read_classes(answer)

    def send_photo(self, content: bytes, top: int = 5) -> list[Prediction]:
        """Returns the most probable classes of an image file that is sent as it is.

        The server then resizes it. This is for comparison.

        Raises:
            InputError: If the server refuses it.
        """
        query = {"top": top}
        return _read_classes(
            self._ask("POST", "/classify_photo", params=query, data=content)
        )

    def _ask(self, method: str, path: str, **arguments) -> bytes:
        """Returns the body of an answer."""
        import requests

        try:
            answer = self._session.request(
                method, self._url + path, timeout=self._timeout, **arguments
            )
        except (requests.RequestException, ValueError) as e:
            raise InputError(
                f"the server {self._url!r} does not answer ({describe_error(e):.300})"
            ) from e
        if answer.ok:
            return answer.content
        try:
            reason = answer.json()["error"]
        except (ValueError, KeyError, TypeError):
            reason = f"it is no server of mmresizer: {path} has {answer.reason!r}"
        raise InputError(
            f"the server {self._url!r} refuses ({answer.status_code}): {reason}"
        )


def _read_classes(answer: bytes) -> list[Prediction]:
    return [Prediction(**entry) for entry in json.loads(answer)["classes"]]
