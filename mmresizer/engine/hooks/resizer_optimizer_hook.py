"""An optimizer for the resizer alone."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import OPTIMIZERS
from mmengine.runner import Runner
from torch import nn
from torch.optim import Optimizer

from mmresizer.models.utils import get_resizer
from mmresizer.registry import HOOKS
from mmresizer.utils import InputError
from mmresizer.utils.errors import one_line

_STATE = "resizer_optimizer"


@HOOKS.register_module()
class ResizerOptimizerHook(Hook):
    """Trains the resizer by an optimizer of its own, beside any for the backbone.

    The resizer's gradient is a sum over all pixels. By SGD at the backbone's rate it
    takes steps that are far too large, by AdamW at the rate for a large backbone none
    to speak of. AdamW at a rate of its own takes steps of a known size with either. The
    rate follows the schedule of the backbone's (warm-up, decay). The state is part of
    training checkpoints. A resizer without parameters is left alone.

    What ``paramwise_cfg`` says of the resizer has no effect beside this hook, and
    ``clip_grad`` is for the rest of the model: in a norm over both, the resizer's
    gradient would shorten the backbone's steps. With
    mixed precision the backbone's optimizer must not be a fused one, which leaves the
    gradient scaled.

    Args:
        lr (float): Learning rate at its highest. Defaults to 1e-3.
        type (str): An optimizer of torch or mmengine. Defaults to "AdamW".
        **kwargs (Any): Its further arguments; ``weight_decay`` is 0 by default.

    Raises:
        InputError: If ``lr`` is not positive, or the optimizer cannot be built.
    """

    priority = "LOW"  # a hook that clips the gradient comes first

    def __init__(self, lr: float = 1e-3, type: str = "AdamW", **kwargs: Any):
        if not isinstance(lr, int | float) or not lr > 0:
            raise InputError(f"lr must be a positive number, got {lr!r}")
        self.lr = lr
        self.cfg = dict(type=type, lr=lr, weight_decay=0.0)
        self.cfg.update(kwargs)
        # Built here too: an argument at fault is found before anything is trained.
        self._build([nn.Parameter()])
        self._optimizer: Optimizer | None = None
        self._loaded: dict | None = None

    def before_train(self, runner: Runner) -> None:
        """Has the optimizer of the resizer step before each step of the other."""
        parameters = [
            p for p in get_resizer(runner.model).parameters() if p.requires_grad
        ]
        if not parameters:
            return
        own = self._optimizer = self._build(parameters)
        if self._loaded is not None:
            own.load_state_dict(self._loaded)
        wrapper = runner.optim_wrapper
        main = wrapper.optimizer
        clip, wrapper.clip_grad_kwargs = wrapper.clip_grad_kwargs, None

        # Before the step mixed precision has unscaled the gradient and accumulation is
        # done; without a gradient the other optimizer leaves a parameter alone.
        def step(*_) -> None:
            factor = _schedule_factor(main)
            for own_group in own.param_groups:
                own_group["lr"] = self.lr * factor
            own.step()
            own.zero_grad(set_to_none=True)
            if clip:
                wrapper.clip_grad_kwargs = clip
                wrapper._clip_grad()  # of what still has a gradient
                wrapper.clip_grad_kwargs = None

        main.register_step_pre_hook(step)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds the state where that of the other optimizer is saved."""
        if self._optimizer is not None and "optimizer" in checkpoint:
            checkpoint[_STATE] = self._optimizer.state_dict()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the state of a run that is resumed."""
        if runner._resume:
            self._loaded = checkpoint.get(_STATE)

    def _build(self, parameters: list[nn.Parameter]) -> Optimizer:
        try:
            return OPTIMIZERS.build({**self.cfg, "params": parameters})
        except Exception as e:  # whatever its constructor raises on its arguments
            raise InputError(
                f"cannot build the resizer's optimizer {self.cfg} ({one_line(e)})"
            ) from e


def _schedule_factor(optimizer: Optimizer) -> float:
    """Returns the rate over its highest, as the schedule has it now."""
    for group in optimizer.param_groups:
        # One cycle starts far below its highest rate; others start from it.
        highest = group.get("max_lr", group.get("initial_lr", group["lr"]))
        if highest > 0:  # it is 0 where a part of the model is frozen by lr_mult
            return group["lr"] / highest
    return 0.0
