"""The progress of a training, for people who wait for it."""

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tqdm import tqdm

from mmresizer.registry import HOOKS


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Shows a bar with the time left on a terminal, and nothing elsewhere.

    Args:
        title (str): What stands before the bar. Defaults to "training".
    """

    def __init__(self, title: str = "training"):
        self.title = title

    def before_train(self, runner: Runner) -> None:
        """Draws the empty bar."""
        # The time left by the mean over all steps: it counts validations too.
        self._bar = tqdm(
            total=runner.max_iters,
            initial=runner.iter,
            desc=self.title,
            unit=" steps",
            smoothing=0,
            disable=None if is_main_process() else True,
        )

    def after_train_iter(self, *_: object, **__: object) -> None:
        """Fills the bar by a step."""
        self._bar.update()

    def after_train(self, runner: Runner) -> None:
        """Leaves the full bar on the terminal."""
        self._bar.close()
