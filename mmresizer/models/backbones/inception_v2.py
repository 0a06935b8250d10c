"""Inception-v2: the Inception network that introduced batch normalization."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

import torch
from mmcv.cnn import ConvModule
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn

from mmresizer.registry import MODELS
from mmresizer.utils import InputError

# Output channels of the convolutions of each block: a row per block, a list per stage
# after the stem. A 0 after the pool stands for no convolution, in blocks of stride 2.
# fmt: off
STAGES: list[list[tuple[str, list[list[int]], str, int]]] = [
    #        1x1    1x1, 3x3    1x1, 3x3, 3x3     pool, 1x1
    [
        ("3b", [[64],  [64, 64],   [64, 96, 96]],    "avg", 32),
        ("3c", [[64],  [64, 96],   [64, 96, 96]],    "avg", 64),
    ], [
        ("4a", [       [128, 160], [64, 96, 96]],    "max", 0),
        ("4b", [[224], [64, 96],   [96, 128, 128]],  "avg", 128),
        ("4c", [[192], [96, 128],  [96, 128, 128]],  "avg", 128),
        ("4d", [[160], [128, 160], [128, 160, 160]], "avg", 96),
        ("4e", [[96],  [128, 192], [160, 192, 192]], "avg", 96),
    ], [
        ("5a", [       [128, 192], [192, 256, 256]], "max", 0),
        ("5b", [[352], [192, 320], [160, 224, 224]], "avg", 128),
        ("5c", [[352], [192, 320], [192, 224, 224]], "max", 128),
    ],
]
# fmt: on


class ConvBranch(nn.Sequential):
    """A 1x1 convolution and any number of 3x3 ones.

    Args:
        in_channels (int): Number of channels of the input.
        widths (Sequence[int]): Number of output channels of each convolution.
        stride (int): Stride of the last convolution.
        conv (Callable): Builds a convolution with its norm and activation layers.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        stride: int,
        conv: Callable[..., nn.Module],
    ):
        layers = []
        for i, width in enumerate(widths):
            layers.append(
                conv(
                    in_channels,
                    width,
                    3 if i else 1,
                    stride=stride if i == len(widths) - 1 else 1,
                    padding=1 if i else 0,
                )
            )
            in_channels = width
        super().__init__(*layers)


class InceptionBlock(nn.Module):
    """Branches side by side, whose outputs are concatenated.

    Args:
        in_channels (int): Number of channels of the input.
        widths (Sequence[Sequence[int]]): Output channels of the convolutions of each
            branch, see :class:`ConvBranch`.
        pool (str): What the last branch starts with, "avg" or "max", over 3x3 pixels.
        pool_width (int): Output channels of the 1x1 convolution after the pool. With 0
            there is none, and the block has a stride of 2 instead of 1.
        conv (Callable): Builds a convolution with its norm and activation layers.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[Sequence[int]],
        pool: str,
        pool_width: int,
        conv: Callable[..., nn.Module],
    ):
        super().__init__()
        stride = 1 if pool_width else 2
        branches: list[nn.Module] = [
            ConvBranch(in_channels, w, stride, conv) for w in widths
        ]
        # As in TensorFlow, an average is over the pixels inside of the map only.
        pool_layer = (
            nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)
            if pool == "avg"
            else nn.MaxPool2d(3, stride, padding=1)
        )
        projection = [conv(in_channels, pool_width, 1)] if pool_width else []
        branches.append(nn.Sequential(pool_layer, *projection))
        self.branches = nn.ModuleList(branches)
        self.out_channels = sum(w[-1] for w in widths) + (pool_width or in_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


@MODELS.register_module()
class InceptionV2(BaseBackbone):
    """Inception-v2 backbone, also known as BN-Inception.

    From `Batch Normalization: Accelerating Deep Network Training by Reducing Internal
    Covariate Shift <https://arxiv.org/abs/1502.03167>`_ (ICML 2015), figure 5, with the
    widths, the block names and the separable 7x7 convolution of TF-slim's
    `inception_v2 <https://github.com/tensorflow/models/tree/master/research/slim>`_.
    That convolution has a bias and no norm layer. The stages, the C x H x W of their
    outputs for images of 224 x 224 pixels, and their strides:

    ===== ============================================ ============== ======
    Index Layers                                       Output         Stride
    ===== ============================================ ============== ======
    0     7x7 / 2, max pool / 2, 1x1, 3x3              192 x 56 x 56  4
    1     max pool / 2, blocks 3b and 3c               320 x 28 x 28  8
    2     blocks 4a (/ 2), 4b, 4c, 4d and 4e           576 x 14 x 14  16
    3     blocks 5a (/ 2), 5b and 5c                   1024 x 7 x 7   32
    ===== ============================================ ============== ======

    The backbone has 10,163,224 parameters. Unlike in TF-slim, the norm layers have a
    scale (9,888 parameters), and layers of stride 2 pad all sides alike, so that they
    sample even-sized maps one pixel further up and left. Images may have any size; a
    side of n pixels becomes ceil(n / stride).

    Args:
        in_channels (int): Number of channels of the images. Defaults to 3.
        out_indices (Sequence[int]): The stages to return the output of. Defaults to
            (3,), the last one.
        frozen_stages (int): The last stage to freeze, together with all before it.
            Their parameters stay fixed, and their norm layers in eval mode. Defaults to
            -1, none.
        norm_cfg (dict, optional): Norm layer. Defaults to batch normalization with
            TF-slim's eps of 0.001, but torch's momentum of 0.1: TF-slim's running
            averages (0.0003) take more steps than a short training has.
        act_cfg (dict, optional): Activation layer. Defaults to ReLU.
        norm_eval (bool): Whether batch normalization stays in eval mode, so that its
            running statistics stay fixed. Defaults to False.
        init_cfg (dict | list[dict], optional): Initialization of the weights. Defaults
            to Kaiming normal by fan-in, as in most layers of TF-slim, which truncate
            it.

    Raises:
        InputError: If ``out_indices`` or ``frozen_stages`` is out of its range.

    Examples:
        >>> import torch
        >>> from mmresizer.models import InceptionV2
        >>> backbone = InceptionV2(out_indices=(1, 3)).eval()
        >>> [tuple(x.shape) for x in backbone(torch.rand(1, 3, 64, 96))]
        [(1, 320, 8, 12), (1, 1024, 2, 3)]
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_indices: Sequence[int] = (3,),
        frozen_stages: int = -1,
        norm_cfg: dict | None = dict(type="BN", eps=1e-3),  # noqa: B006
        act_cfg: dict | None = dict(type="ReLU"),  # noqa: B006
        norm_eval: bool = False,
        init_cfg: dict | list[dict] | None = dict(  # noqa: B006
            type="Kaiming", layer="Conv2d", mode="fan_in"
        ),
    ):
        num_stages = 1 + len(STAGES)
        if (
            not isinstance(out_indices, (list, tuple))
            or not out_indices
            or not all(type(i) is int and 0 <= i < num_stages for i in out_indices)
        ):
            raise InputError(
                "out_indices must be a list or tuple of ints from 0 to "
                f"{num_stages - 1}, but got {out_indices!r}"
            )
        if type(frozen_stages) is not int or not -1 <= frozen_stages < num_stages:
            raise InputError(
                f"frozen_stages must be an int from -1 to {num_stages - 1}, "
                f"but got {frozen_stages!r}"
            )
        super().__init__(init_cfg)
        self.out_indices = out_indices
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval

        conv = partial(ConvModule, norm_cfg=norm_cfg, act_cfg=act_cfg)
        # Eight filters for each channel of the image, which the 1x1 convolution mixes.
        channels = 8 * in_channels
        stem = nn.Sequential(
            nn.Conv2d(
                in_channels, channels, 7, 2, padding=3, groups=in_channels, bias=False
            ),
            ConvModule(channels, 64, 1, act_cfg=act_cfg),
            nn.MaxPool2d(3, 2, padding=1),
            conv(64, 64, 1),
            conv(64, 192, 3, padding=1),
        )
        # A `ConvModule` right below a `BaseModule` would undo `init_cfg`; below plain
        # containers, such as these, it does not.
        self.stages = nn.ModuleList([stem])
        channels = 192
        for rows in STAGES:
            blocks: OrderedDict[str, nn.Module] = OrderedDict()
            if rows is STAGES[0]:
                blocks["pool"] = nn.MaxPool2d(3, 2, padding=1)
            for name, widths, pool, pool_width in rows:
                block = InceptionBlock(channels, widths, pool, pool_width, conv)
                blocks[f"mixed_{name}"] = block
                channels = block.out_channels
            self.stages.append(nn.Sequential(blocks))
        self.stages[: frozen_stages + 1].requires_grad_(False)
        self.train()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Computes the features of a batch of images.

        Args:
            x (Tensor): Images of shape (N, in_channels, H, W).

        Returns:
            tuple[Tensor, ...]: The outputs of the stages in ``out_indices``, from the
            first stage to the last.
        """
        outs = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def train(self, mode: bool = True) -> "InceptionV2":
        """Sets the mode of all layers but those that the arguments keep in eval."""
        super().train(mode)
        self.stages[: self.frozen_stages + 1].eval()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
