"""What a server accepts."""

from dataclasses import dataclass

from .errors import check_int


@dataclass(frozen=True)
class Limits:
    """What a server accepts.

    Attributes:
        photo_bytes (int): Of a photograph's file. Defaults to 20 MB.
        photo_pixels (int): Height times width of a photograph. Defaults to 50 million.
        seconds (float): For a request, its body and its answer each. Defaults to 10.
        waiting (int): Requests that wait for the backbone. Defaults to 256.
        batch_size (int): Images that the backbone gets at once, at most; 2 or more.
            Defaults to 32.

    Raises:
        InputError: If ``batch_size`` is below 2.
    """

    photo_bytes: int = 20_000_000
    photo_pixels: int = 50_000_000
    seconds: float = 10
    waiting: int = 256
    batch_size: int = 32

    def __post_init__(self):
        """Checks the size of batches, of which the batcher takes no other."""
        check_int("batch_size", self.batch_size, 2)
