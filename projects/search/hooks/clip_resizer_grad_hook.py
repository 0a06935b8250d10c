"""A bound on the resizer's gradient."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.nn.utils import clip_grad_norm_

from mmresizer.models.utils import get_resizer
from mmresizer.registry import HOOKS
from mmresizer.utils import InputError


@HOOKS.register_module()
class ClipResizerGradHook(Hook):
    """Clips the gradient of the resizer alone.

    The gradient of the resizer is a sum over all pixels, and far larger than that of
    the backbone. ``clip_grad`` of the optimizer wrapper clips the norm over the whole
    model: a large gradient of the resizer would slow the backbone, and a norm that the
    head dominates would not bound the resizer. A resizer without parameters is left
    alone.

    Args:
        max_norm (float): Largest 2-norm over the resizer's parameters.

    Raises:
        InputError: If ``max_norm`` is not positive.
    """

    def __init__(self, max_norm: float):
        if not max_norm > 0:
            raise InputError(f"max_norm must be a positive number, got {max_norm!r}")
        self.max_norm = max_norm

    def before_train(self, runner: Runner) -> None:
        """Makes the optimizer clip before each of its steps."""
        parameters = list(get_resizer(runner.model).parameters())

        # Hooks of the Runner have no stage between backward pass and step. Here mixed
        # precision has unscaled the gradient, and accumulation is done.
        def clip(*_) -> None:
            clip_grad_norm_(parameters, self.max_norm)

        runner.optim_wrapper.optimizer.register_step_pre_hook(clip)
