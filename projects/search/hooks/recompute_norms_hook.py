"""Exact statistics of batch norms, in a part of the model, at each validation."""

from copy import deepcopy

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from mmpretrain.engine.hooks.precise_bn_hook import update_bn_stats
from torch import nn

from mmresizer.models.utils import get_resizer
from mmresizer.registry import HOOKS
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_choice, check_int

_PARTS = ("all", "resizer", "rest")


@HOOKS.register_module()
class RecomputeNormsHook(Hook):
    """Recomputes the statistics of batch norms with the weights at the epoch's end.

    The running statistics lag behind weights that change fast. MMPretrain's
    ``PreciseBNHook`` does the same for the whole model, but uses the images that
    training would see next. This hook loads its own images. It draws random numbers,
    but ``RecordRunHook`` sets these at each iteration. So the runs of a comparison with
    and without this hook differ in the validation alone.

    Args:
        part (str): The part with the norms: "all", "resizer" or "rest" (all but the
            resizer). Defaults to "all".
        num_samples (int): Number of training images, at least a batch; all of them if
            there are fewer. Defaults to 8192.

    Raises:
        InputError: If an argument is out of its range or, before training, if
            ``num_samples`` is less than a batch.
    """

    priority = "ABOVE_NORMAL"  # before the checkpoint is saved

    def __init__(self, part: str = "all", num_samples: int = 8192):
        check_choice("part", part, _PARTS)
        check_int("num_samples", num_samples, 1)
        self.part = part
        self.num_samples = num_samples

    def before_train(self, runner: Runner) -> None:
        """Builds a loader of training images."""
        self._loader = runner.build_dataloader(
            deepcopy(runner.cfg.train_dataloader), seed=runner.seed
        )
        batch_size = self._loader.batch_size * get_world_size()
        if self.num_samples < batch_size:
            raise InputError(
                f"num_samples must be at least a batch of {batch_size} images, but got "
                f"{self.num_samples}"
            )

    def after_train_epoch(self, runner: Runner) -> None:
        """Recomputes."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        norms = self._norms(model)
        if not norms:
            return
        # Only norms in training mode are recomputed.
        model.eval()
        for norm in norms:
            norm.train()
        update_bn_stats(model, self._loader, self.num_samples, logger=runner.logger)
        model.train()

    def _norms(self, model: nn.Module) -> list[nn.Module]:
        resizer = set(get_resizer(model).modules())
        return [
            module
            for module in model.modules()
            if isinstance(module, _BatchNorm)
            and (self.part == "all" or (module in resizer) == (self.part == "resizer"))
        ]
