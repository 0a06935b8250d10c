"""The arms of a comparison."""

import re
from dataclasses import dataclass, field

from mmengine.config import Config


@dataclass(frozen=True)
class Arm:
    """One variant of the model.

    Attributes:
        name (str): Unique in the comparison.
        baseline (bool): Whether the others are compared with it.
        cfg (Config): Config of its training, without seed and folder.
        base (str): The name without the input size in a sweep, else the name.
        input_size (tuple[int, int]): Height and width of the pipeline's images.
        output_size (tuple[int, int]): Height and width of the resizer's images.
        macs (int): Multiply-accumulates of the model for one image.
    """

    name: str
    baseline: bool
    cfg: Config = field(repr=False)
    base: str
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    macs: int

    @property
    def folder(self) -> str:
        """Name of the folder for its runs."""
        return re.sub(r"[^\w.+@-]+", "-", self.name)
