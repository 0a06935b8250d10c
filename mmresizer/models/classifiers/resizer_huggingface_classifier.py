"""MMPretrain's wrapper of Hugging Face models, with a resizer in front."""

from mmpretrain.models import HuggingFaceClassifier

from mmresizer.registry import MODELS

from .mounted_resizer import MountedResizerMixin


@MODELS.register_module()
class ResizerHuggingFaceClassifier(MountedResizerMixin, HuggingFaceClassifier):
    """A :class:`mmpretrain.models.HuggingFaceClassifier` that resizes its images first.

    The resizer is inside the wrapped model, as ``model.resizer``. Checkpoints of the
    plain classifier and of Hugging Face itself load into this one.

    Args:
        *args: Arguments of :class:`mmpretrain.models.HuggingFaceClassifier`.
        resizer (dict | nn.Module): The resizer, a :class:`BaseResizer`.
        **kwargs: Keyword arguments of the same class.
    """
