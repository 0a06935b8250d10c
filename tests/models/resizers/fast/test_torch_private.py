import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.flop_counter import FlopCounterMode

from mmresizer.models.resizers.fast.torch_private import is_watched


def hook(*_):
    return None


@pytest.mark.parametrize(
    "watch",
    [
        lambda _: FlopCounterMode(display=False),
        lambda _: forward_ad.dual_level(),
        lambda _: register_module_forward_hook(hook),
        lambda layer: layer.register_forward_hook(hook),
        lambda layer: layer.register_forward_pre_hook(hook),
        lambda layer: layer.register_full_backward_hook(hook),
        lambda layer: layer.register_full_backward_pre_hook(hook),
    ],
)
def test_counters_and_hooks(watch):
    layer = nn.Tanh()
    block, x = nn.Sequential(layer), torch.rand(3)
    assert not is_watched(x, block)
    with watch(layer):
        assert is_watched(x, block)
    assert not is_watched(x, block)  # nothing is left behind


@pytest.mark.parametrize(
    "transform",
    [
        lambda f, x: torch.compile(f, backend="eager", fullgraph=True)(x),
        lambda f, x: torch.jit.trace(f, x, check_trace=False),
        lambda f, x: torch.func.vmap(f)(x),
        lambda f, x: torch.func.grad(f)(x[0]),
        lambda f, x: torch.func.jvp(f, (x,), (x,)),
        lambda f, x: f(nn.Parameter(x)),
    ],
)
def test_transforms(transform):
    answers = []

    def run(x):
        answers.append(is_watched(x))
        return x.sin()

    x = torch.rand(3)
    run(x)
    transform(run, x)
    assert answers[0] is False
    assert set(answers[1:]) == {True}
