"""MMPretrain's image classifier with a resizer in front of its backbone."""

from mmpretrain.models import ImageClassifier
from torch import Tensor, nn

from mmresizer.models.utils import report_fresh_resizer
from mmresizer.registry import MODELS


@MODELS.register_module()
class ResizerClassifier(ImageClassifier):
    """An :class:`mmpretrain.models.ImageClassifier` that resizes its images first.

    The resizer stands between the data preprocessor and the backbone, on every path:
    loss, prediction, features, test-time augmentation, CAM, export. A checkpoint of the
    plain classifier loads into this one, whose resizer keeps its initialization then.
    The other way round works too.

    Args:
        backbone (dict | nn.Module): See :class:`mmpretrain.models.ImageClassifier`.
        resizer (dict | nn.Module): The resizer, a :class:`BaseResizer`.
        **kwargs: Other arguments of :class:`mmpretrain.models.ImageClassifier`.
    """

    def __init__(self, backbone: dict | nn.Module, resizer: dict | nn.Module, **kwargs):
        super().__init__(backbone, **kwargs)
        self.resizer = (
            resizer if isinstance(resizer, nn.Module) else MODELS.build(resizer)
        )
        self.register_load_state_dict_post_hook(report_fresh_resizer)

    def extract_feat(self, inputs: Tensor, stage: str = "neck") -> tuple | Tensor:
        """Extracts features from images at their full resolution.

        Args:
            inputs (Tensor): Images of shape (N, C, H, W), after the data preprocessor.
            stage (str): "backbone", "neck" or "pre_logits". Defaults to "neck".

        Returns:
            tuple | Tensor: See :meth:`mmpretrain.models.ImageClassifier.extract_feat`.
        """
        return super().extract_feat(self.resizer(inputs), stage)

    def get_layer_depth(self, param_name: str) -> tuple[int, int]:
        """Returns the layer of a parameter and the number of layers, for lr decay.

        Like the head, the resizer is new, so it has the full learning rate.
        """
        if param_name.startswith("resizer."):
            _, num_layers = super().get_layer_depth("head.")
            return num_layers - 1, num_layers
        return super().get_layer_depth(param_name)
