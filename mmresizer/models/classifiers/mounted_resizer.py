"""A mixin for the wrappers of foreign models."""

from typing import Any

from mmpretrain.models import BaseClassifier
from torch import nn

from mmresizer.models.utils import mount_resizer, report_fresh_resizer


class MountedResizerMixin(BaseClassifier):
    """Mounts a resizer in the ``model`` of a classifier, the next base class.

    Args:
        *args: Arguments of the classifier.
        resizer (dict | nn.Module): The resizer, a :class:`BaseResizer`.
        **kwargs: Keyword arguments of the classifier.
    """

    model: Any  # a module of timm or Hugging Face

    def __init__(self, *args, resizer: dict | nn.Module, **kwargs):
        super().__init__(*args, **kwargs)
        mount_resizer(self.model, resizer)
        self.register_load_state_dict_post_hook(report_fresh_resizer)

    # MMPretrain's two hooks, which leave "model." out of the names of weights, work for
    # the outermost module alone. In an averaged copy (EMAHook) that is another module.
    @staticmethod
    def _remove_state_dict_prefix(self, state_dict, prefix, local_metadata):
        for name in [n for n in state_dict if n.startswith(f"{prefix}model.")]:
            short = prefix + name.removeprefix(f"{prefix}model.")
            state_dict[short] = state_dict.pop(name)

    @staticmethod
    def _add_state_dict_prefix(state_dict, prefix, *args):
        for name in [n for n in state_dict if n.startswith(prefix)]:
            whole = f"{prefix}model.{name.removeprefix(prefix)}"
            state_dict[whole] = state_dict.pop(name)

    def init_weights(self) -> None:
        """Initializes the resizer, then loads what ``init_cfg`` names."""
        self.model.resizer.init_weights()
        super().init_weights()
