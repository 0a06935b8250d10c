"""MMPretrain's wrapper of Timm models, with a resizer in front."""

from mmpretrain.models import TimmClassifier
from torch import Tensor, nn

from mmresizer.models.utils import mount_resizer, report_fresh_resizer
from mmresizer.registry import MODELS


@MODELS.register_module()
class ResizerTimmClassifier(TimmClassifier):
    """A :class:`mmpretrain.models.TimmClassifier` that resizes its images first.

    The resizer lies inside the wrapped model, as ``model.resizer``. Checkpoints of the
    plain classifier, and of the library itself, load into this one.

    Args:
        *args: Arguments of :class:`mmpretrain.models.TimmClassifier`.
        resizer (dict | nn.Module): The resizer, a :class:`BaseResizer`.
        **kwargs: Keyword arguments of :class:`mmpretrain.models.TimmClassifier`.
    """

    def __init__(self, *args, resizer: dict | nn.Module, **kwargs):
        super().__init__(*args, **kwargs)
        mount_resizer(self.model, resizer)
        self.register_load_state_dict_post_hook(report_fresh_resizer)

    def init_weights(self) -> None:
        """Initializes the resizer, then loads what ``init_cfg`` names."""
        self.model.resizer.init_weights()
        super().init_weights()

    def extract_feat(self, inputs: Tensor) -> Tensor:
        """Extracts timm's ``forward_features`` from images at their full resolution.

        Args:
            inputs (Tensor): Images of shape (N, C, H, W), after the data preprocessor.

        Returns:
            Tensor: The features.
        """
        # `forward_features` is no call of the model, so that its pre-hook does not run.
        return super().extract_feat(self.model.resizer(inputs))
