"""Features of resized images, drawn towards those of the images as they were."""

import math
from copy import deepcopy

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner, load_checkpoint
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from mmresizer.models import BaseResizer, InterpolationResizer
from mmresizer.models.utils import check_initial_weights
from mmresizer.registry import HOOKS
from mmresizer.utils import InputError


@HOOKS.register_module()
class DistillationHook(Hook):
    """Adds a loss between the features of the resized and of the full images.

    The teacher is the model itself without its resizer, with weights of its own, so
    that its backbone must take images of either size. The loss, ``loss_distillation``,
    is ``weight * (1 - cos)``, with the cosine similarity of the two feature vectors,
    mean over the batch. It trains a model whose resizer has no weights just as well:
    a control needs it too.

    Args:
        checkpoint (str): Weights of the teacher. A head for other classes is left out.
        layer (str): Name of the module whose output is compared, of shape (N, C) or
            (N, C, 1, 1). Defaults to "neck".
        weight (float): Defaults to 1.

    Raises:
        InputError: If ``weight`` is not positive; before training, if the model has no
            such module or the weights are of another architecture; in the first
            iteration, if the module's output is no vector per image.
    """

    def __init__(self, checkpoint: str, layer: str = "neck", weight: float = 1.0):
        if not isinstance(weight, int | float) or not 0 < weight < math.inf:
            raise InputError(f"weight must be a positive number, got {weight!r}")
        self.checkpoint = checkpoint
        self.layer = layer
        self.weight = weight

    def before_train(self, runner: Runner) -> None:
        """Builds the teacher, and has the model's loss count its features."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not isinstance(dict(model.named_modules()).get(self.layer), nn.Module):
            names = ", ".join(name for name, _ in model.named_children())
            raise InputError(
                f"layer must be a module of the model ({names} or below), but got "
                f"{self.layer!r}"
            )
        teacher = deepcopy(model)
        for name, module in list(teacher.named_modules()):
            if isinstance(module, BaseResizer):
                teacher.set_submodule(name, InterpolationResizer(scale_factor=1))
        check_initial_weights(teacher, self.checkpoint)
        load_checkpoint(teacher, self.checkpoint, "cpu", logger=runner.logger)
        teacher.eval().requires_grad_(False)

        features: dict[str, Tensor] = {}
        for who, network in (("student", model), ("teacher", teacher)):
            network.get_submodule(self.layer).register_forward_hook(
                lambda _, args, output, who=who: features.update({who: output})
            )
        plain_loss = model.loss

        def loss(inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
            losses = plain_loss(inputs, data_samples)
            teacher(inputs)
            student_vector, teacher_vector = (
                self._vector(features.pop(who)) for who in ("student", "teacher")
            )
            similarity = cosine_similarity(student_vector, teacher_vector)
            losses["loss_distillation"] = self.weight * (1 - similarity.mean())
            return losses

        model.loss = loss

    def _vector(self, output: Tensor | tuple[Tensor, ...]) -> Tensor:
        vector = output[-1] if isinstance(output, tuple) else output
        if vector.flatten(1).shape[1] != vector.shape[1]:
            raise InputError(
                f"the output of layer {self.layer!r} must be a vector per image, but "
                f"has the shape {tuple(vector.shape)}"
            )
        return vector.flatten(1)
