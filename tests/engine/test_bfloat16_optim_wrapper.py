"""Training in bfloat16, on whatever device there is."""

import pytest
import torch
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from torch import nn

from mmresizer.engine import BFloat16OptimWrapper
from mmresizer.registry import OPTIM_WRAPPERS


def make(kind, **kwargs):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    model.to(get_device())
    cfg = dict(type=kind, optimizer=dict(type="SGD", lr=0.1), **kwargs)
    return model, build_optim_wrapper(model, cfg)


def train(kind, steps=5, **kwargs):
    """Fits random data; returns the weights and the dtypes of the outputs."""
    model, wrapper = make(kind, **kwargs)
    x, y = (torch.randn(32, n, device=get_device()) for n in (8, 4))
    dtypes = set()
    for _ in range(steps):
        with wrapper.optim_context(model):
            output = model(x)
            loss = nn.functional.mse_loss(output.float(), y)
        dtypes.add(output.dtype)
        wrapper.update_params(loss)
    assert model(x).dtype == torch.float32  # nothing of it stays
    return nn.utils.parameters_to_vector(model.parameters()).detach(), dtypes


def test_config_builds_it():
    _, wrapper = make("mmresizer.BFloat16OptimWrapper")
    assert type(wrapper) is BFloat16OptimWrapper
    assert OPTIM_WRAPPERS.get("BFloat16OptimWrapper") is BFloat16OptimWrapper


@pytest.mark.parametrize("accumulative_counts", [1, 2])
def test_follows_training_in_float32(accumulative_counts):
    """Weights stay float32 and, after steps of 1e-1, near those of float32."""
    options = dict(accumulative_counts=accumulative_counts)
    weights, dtypes = train("mmresizer.BFloat16OptimWrapper", **options)
    exact, exact_dtypes = train("OptimWrapper", **options)
    start, _ = train("OptimWrapper", steps=0)
    assert (dtypes, exact_dtypes) == ({torch.bfloat16}, {torch.float32})
    assert weights.dtype == torch.float32
    # bfloat16 keeps 8 bits; the steps are 50 times as long as its error.
    error, moved = (weights - exact).norm(), (exact - start).norm()
    assert 0 < error < moved / 50
