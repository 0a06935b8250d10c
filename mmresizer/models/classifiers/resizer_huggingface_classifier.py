"""MMPretrain's wrapper of HuggingFace models, with a resizer in front."""

from mmpretrain.models import HuggingFaceClassifier
from torch import nn

from mmresizer.models.utils import mount_resizer, report_fresh_resizer
from mmresizer.registry import MODELS


@MODELS.register_module()
class ResizerHuggingFaceClassifier(HuggingFaceClassifier):
    """A :class:`mmpretrain.models.HuggingFaceClassifier` that resizes its images first.

    The resizer lies inside the wrapped model, as ``model.resizer``. Checkpoints of the
    plain classifier, and of the library itself, load into this one.

    Args:
        *args: Arguments of :class:`mmpretrain.models.HuggingFaceClassifier`.
        resizer (dict | nn.Module): The resizer, a :class:`BaseResizer`.
        **kwargs: Keyword arguments of :class:`mmpretrain.models.HuggingFaceClassifier`.
    """

    def __init__(self, *args, resizer: dict | nn.Module, **kwargs):
        super().__init__(*args, **kwargs)
        mount_resizer(self.model, resizer)
        self.register_load_state_dict_post_hook(report_fresh_resizer)

    def init_weights(self) -> None:
        """Initializes the resizer, then loads what ``init_cfg`` names."""
        self.model.resizer.init_weights()
        super().init_weights()
