"""Mixed precision in bfloat16, on CPUs too."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.optim import OptimWrapper
from torch import nn

from mmresizer.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Trains in bfloat16 where PyTorch's autocast allows it; weights stay float32.

    mmengine's ``AmpOptimWrapper`` refuses CPUs. bfloat16 has the range of float32, so
    that losses need no scale. Arguments are those of mmengine's ``OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Computes the losses in mixed precision.

        Args:
            model (nn.Module): The model that is trained.
        """
        autocast = torch.autocast(get_device(), torch.bfloat16)
        with super().optim_context(model), autocast:
            yield
