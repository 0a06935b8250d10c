"""MMPretrain's wrapper of timm models, with a resizer in front."""

from mmpretrain.models import TimmClassifier

from mmresizer.registry import MODELS

from .mounted_resizer import MountedResizerMixin


@MODELS.register_module()
class ResizerTimmClassifier(MountedResizerMixin, TimmClassifier):
    """A :class:`mmpretrain.models.TimmClassifier` that resizes its images first.

    The resizer is inside the wrapped model, as ``model.resizer``. Checkpoints of the
    plain classifier and of timm itself load into this one.

    Args:
        *args: Arguments of :class:`mmpretrain.models.TimmClassifier`.
        resizer (dict | nn.Module): The resizer, a :class:`BaseResizer`.
        **kwargs: Keyword arguments of the same class.
    """
