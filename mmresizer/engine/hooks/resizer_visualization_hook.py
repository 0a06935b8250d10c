"""Pictures of what the resizer does, during training."""

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmresizer.registry import HOOKS
from mmresizer.utils.errors import check_int
from mmresizer.visualization import draw_resizer


@HOOKS.register_module()
class ResizerVisualizationHook(Hook):
    """Writes :func:`mmresizer.visualization.draw_resizer` to the Visualizer's backends.

    The images are the first ones of the validation set, so that the pictures of
    different epochs can be compared. Local files are
    ``vis_data/vis_image/resizer_STEP.png``.

    Args:
        interval (int): Number of validations per picture. Defaults to 1.
        num_images (int): Number of images, at most a validation batch. Defaults to 4.

    Raises:
        InputError: If an argument is below 1.
    """

    priority = "LOW"

    def __init__(self, interval: int = 1, num_images: int = 4):
        check_int("interval", interval, 1)
        check_int("num_images", num_images, 1)
        self.interval = interval
        self.num_images = num_images
        self._num_validations = 0

    @master_only
    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | tuple | list | None = None,
        outputs: list | None = None,
    ) -> None:
        """Draws the first images of the first batch."""
        if batch_idx != 0 or data_batch is None:
            return
        self._num_validations += 1
        if (self._num_validations - 1) % self.interval:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        images = data_batch["inputs"][: self.num_images]  # type: ignore[call-overload]
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        step = runner.epoch if by_epoch else runner.iter
        runner.visualizer.add_image("resizer", draw_resizer(model, images), step=step)
