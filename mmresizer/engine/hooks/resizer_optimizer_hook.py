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
    """Trains the resizer with an optimizer of its own, whatever the backbone has.

    The gradient of the resizer is a sum over all pixels. With SGD at the learning rate
    of the backbone, the resizer takes steps that are far too large; with AdamW at the
    rate of a large backbone, its steps are far too small. AdamW at a rate of its own
    takes steps of a known size in both cases. The rate follows the schedule of the
    backbone (warm-up, decay). The state is part of training checkpoints. A resizer
    without parameters is left alone.

    With this hook ``paramwise_cfg`` has no effect on the resizer. ``clip_grad`` clips
    the rest of the model: in a norm over both, the gradient of the resizer would
    shorten the steps of the backbone. With mixed precision the optimizer of the
    backbone must not be a fused one, which leaves the gradient scaled.

    Args:
        lr (float): Highest learning rate. Defaults to 1e-3.
        optimizer (str): One of torch or mmengine. Defaults to "AdamW".
        **kwargs (Any): Other arguments of the optimizer; ``weight_decay`` is 0 by
            default.

    Raises:
        InputError: If ``lr`` is not positive, or the optimizer cannot be built.
    """

    # Where checkpoints have :attr:`settings`.
    SETTINGS = "resizer_optimizer_settings"

    priority = "LOW"  # a hook that clips the gradient comes first

    def __init__(self, lr: float = 1e-3, optimizer: str = "AdamW", **kwargs: Any):
        if not isinstance(lr, int | float) or not lr > 0:
            raise InputError(f"lr must be a positive number, got {lr!r}")
        self.lr = lr
        self.cfg = dict(type=optimizer, lr=lr, weight_decay=0.0)
        self.cfg.update(kwargs)
        # Built here too, so that a faulty argument is found before the training.
        self._build([nn.Parameter()])
        self._optimizer: Optimizer | None = None
        self._loaded: dict | None = None

    @property
    def settings(self) -> dict[str, str]:
        """The config of the optimizer, as text."""
        kind = self.cfg["type"]
        name = getattr(kind, "__name__", kind)
        return {k: repr(v) for k, v in {**self.cfg, "type": name}.items()}

    def before_train(self, runner: Runner) -> None:
        """Makes the optimizer of the resizer step before each step of the other."""
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

        # Here mixed precision has unscaled the gradient, and accumulation is done. The
        # other optimizer ignores parameters without a gradient.
        def step(*_) -> None:
            factor = _schedule_factor(main)
            for own_group in own.param_groups:
                own_group["lr"] = self.lr * factor
            own.step()
            own.zero_grad(set_to_none=True)
            if clip:
                wrapper.clip_grad_kwargs = clip
                wrapper._clip_grad()  # the resizer has no gradient any more
                wrapper.clip_grad_kwargs = None

        main.register_step_pre_hook(step)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds state and settings, if the state of the other optimizer is saved."""
        if "optimizer" not in checkpoint:
            return
        checkpoint[self.SETTINGS] = self.settings
        if self._optimizer is not None:
            checkpoint[_STATE] = self._optimizer.state_dict()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the state of a run that is resumed."""
        if runner._resume:
            self._loaded = checkpoint.get(_STATE)

    def _build(self, parameters: list[nn.Parameter]) -> Optimizer:
        try:
            return OPTIMIZERS.build({**self.cfg, "params": parameters})
        except Exception as e:  # constructors may raise anything
            raise InputError(
                f"cannot build the resizer's optimizer {self.cfg} ({one_line(e)})"
            ) from e


def _schedule_factor(optimizer: Optimizer) -> float:
    """Returns the current learning rate over its highest."""
    for group in optimizer.param_groups:
        # A one-cycle schedule starts far below its highest rate, others start at it.
        highest = group.get("max_lr", group.get("initial_lr", group["lr"]))
        if highest > 0:  # it is 0 if lr_mult freezes a part of the model
            return group["lr"] / highest
    return 0.0
