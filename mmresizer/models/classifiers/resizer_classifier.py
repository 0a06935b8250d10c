"""MMPretrain's image classifier with a resizer in front of its backbone."""

from typing import Any

from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmresizer.models.utils import report_fresh_resizer
from mmresizer.registry import MODELS
from mmresizer.utils import InputError


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
        rate_loss (dict | nn.Module, optional): A further loss in training,
            ``loss_rate``, of the levels that the resizer gives, such as
            :class:`RateLoss`. The resizer must have an ``output_range``. Defaults to
            None.
        **kwargs: Other arguments of :class:`mmpretrain.models.ImageClassifier`.

    Raises:
        InputError: If there is a ``rate_loss``, and the resizer has no
            ``output_range``.
    """

    resizer: Any  # a BaseResizer
    rate_loss: nn.Module | None

    def __init__(
        self,
        backbone: dict | nn.Module,
        resizer: dict | nn.Module,
        rate_loss: dict | nn.Module | None = None,
        **kwargs,
    ):
        super().__init__(backbone, **kwargs)
        self.resizer = (
            resizer if isinstance(resizer, nn.Module) else MODELS.build(resizer)
        )
        self.rate_loss = (
            MODELS.build(rate_loss) if isinstance(rate_loss, dict) else rate_loss
        )
        if self.rate_loss is not None and self.resizer.eight_bit is None:
            raise InputError(
                "rate_loss counts the bits of levels, so the resizer must have an "
                "output_range, such as [-8, 8] in units of normalised pixels"
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

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Computes the losses of the head, and of what sending would cost.

        Args:
            inputs (Tensor): Images of shape (N, C, H, W), after the data preprocessor.
            data_samples (list[DataSample]): Their labels.

        Returns:
            dict[str, Tensor]: The losses by name.
        """
        if self.rate_loss is None:
            return super().loss(inputs, data_samples)
        images = self.resizer(inputs)
        losses = self.head.loss(super().extract_feat(images), data_samples)
        levels = self.resizer.eight_bit.scale(images)
        return losses | {"loss_rate": self.rate_loss(levels)}

    def get_layer_depth(self, param_name: str) -> tuple[int, int]:
        """Returns the layer of a parameter and the number of layers, for lr decay.

        Like the head, the resizer is new, so it has the full learning rate.
        """
        if param_name.startswith("resizer."):
            _, num_layers = super().get_layer_depth("head.")
            return num_layers - 1, num_layers
        return super().get_layer_depth(param_name)
