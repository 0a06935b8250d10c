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

    It is a sum over all pixels, and far larger than the backbone's. ``clip_grad`` of
    the optimizer wrapper clips the norm over the whole model, so that a large gradient
    of the resizer would slow the backbone, and one that the head rules is no bound for
    the resizer. A resizer without parameters is left alone.

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
        """Has the optimizer clip before each of its steps."""
        parameters = list(get_resizer(runner.model).parameters())

        # Not a stage of hooks: between backward pass and step there is none, and here
        # mixed precision has unscaled the gradient and accumulation is done.
        def clip(*_) -> None:
            clip_grad_norm_(parameters, self.max_norm)

        runner.optim_wrapper.optimizer.register_step_pre_hook(clip)
