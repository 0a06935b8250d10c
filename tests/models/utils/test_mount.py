"""Resizers in models of other libraries: a stand-in for timm, one for Hugging Face."""

import pickle
from copy import deepcopy
from threading import Thread

import pytest
import torch
from torch import nn

from mmresizer.models import InterpolationResizer, LearnedResizer
from mmresizer.models.utils import mount_resizer
from mmresizer.utils import InputError


class Timm(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward_features(self, x):
        return self.conv(x)

    def forward_intermediates(self, x, norm=False):
        return [self.forward_features(x), norm]

    def forward(self, x, scale=1.0):
        return scale * self.forward_features(x).mean((2, 3))


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, pixel_values=None, shift=0.0):
        return self.conv(pixel_values) + shift


class HuggingFace(nn.Module):
    def __init__(self):
        super().__init__()
        self.base = Base()
        self.head = nn.Linear(4, 2)

    def forward(self, pixel_values=None, shift=0.0):
        if pixel_values is None:
            raise ValueError("You have to specify pixel_values")
        return self.head(self.base(pixel_values, shift=shift).mean((2, 3)))

    def save_pretrained(self, folder):
        raise AssertionError("it must not be called")


def mount(plain):
    """Returns the plain model, and a copy of it with a resizer."""
    torch.manual_seed(0)
    plain = plain().eval()
    model = deepcopy(plain)
    mount_resizer(model, LearnedResizer(12).eval())
    return plain, model


CALLS = [
    (Timm, lambda m, x: m(x)),
    (Timm, lambda m, x: m(x, scale=2.0)),
    (Timm, lambda m, x: m(x=x, scale=2.0)),
    (Timm, lambda m, x: m(scale=2.0, x=x)),
    (Timm, lambda m, x: m.forward(x)),
    (Timm, lambda m, x: m.forward_features(x)),
    (Timm, lambda m, x: m.forward_features(x=x)),
    (Timm, lambda m, x: m.forward_intermediates(x, norm=True)),
    (HuggingFace, lambda m, x: m(x)),
    (HuggingFace, lambda m, x: m(pixel_values=x)),
    (HuggingFace, lambda m, x: m(shift=0.5, pixel_values=x)),
    (HuggingFace, lambda m, x: m.base(x)),
    (HuggingFace, lambda m, x: m.base(pixel_values=x, shift=0.5)),
]


@pytest.mark.parametrize(("plain", "call"), CALLS)
def test_resizes_once(plain, call):
    plain, model = mount(plain)
    x = torch.rand(2, 3, 40, 30)
    with torch.no_grad():
        expected = call(plain, model.resizer(x))
        torch.testing.assert_close(call(model, x), expected)
        # Copies have their own resizer, everywhere.
        for copy in (deepcopy(model), pickle.loads(pickle.dumps(model))):
            torch.testing.assert_close(call(copy, x), expected)
            nn.init.zeros_(copy.resizer.out.weight)
            with pytest.raises(AssertionError):
                torch.testing.assert_close(call(copy, x), expected)
        torch.testing.assert_close(call(model, x), expected)


@pytest.mark.parametrize("plain", [Timm, HuggingFace])
def test_tracers_see_the_resizer(plain):
    plain, model = mount(plain)
    x = torch.rand(2, 3, 40, 30)
    with torch.no_grad():
        expected = plain(model.resizer(x))
        for traced in (
            torch.jit.trace(model, x),
            torch.export.export(model, (x,)).module(),
            torch.compile(model, backend="eager", fullgraph=True),
        ):
            torch.testing.assert_close(traced(x), expected)
        if isinstance(plain, Timm):  # the other one branches on its images
            torch.testing.assert_close(torch.fx.symbolic_trace(model)(x), expected)


def test_is_an_instance_of_the_library_s_class():
    _, model = mount(HuggingFace)
    assert isinstance(model, HuggingFace)
    assert type(model).__name__ == "HuggingFace"


def test_a_failed_call_changes_nothing():
    plain, model = mount(HuggingFace)
    x = torch.rand(2, 3, 40, 30)
    with pytest.raises(ValueError, match="You have to specify pixel_values"):
        model()
    with pytest.raises(TypeError, match="size"):
        model(x, size=3)
    with torch.no_grad():
        torch.testing.assert_close(model.base(x), plain.base(model.resizer(x)))


def test_threads():
    """One waits in the middle of a call while another calls the same model."""
    plain, model = mount(HuggingFace)
    x = torch.rand(2, 3, 40, 30)
    inner = []

    def call_from_elsewhere(*_):
        if not inner:
            inner.append(None)
            thread = Thread(target=lambda: inner.append(model(x)))
            thread.start()
            thread.join()

    model.base.conv.register_forward_hook(call_from_elsewhere)
    expected = plain(model.resizer(x))
    torch.testing.assert_close(model(x), expected)
    torch.testing.assert_close(inner[1], expected)


def test_replicas_of_data_parallel():
    """What torch makes of a model for another GPU: shallow copies of its modules."""
    plain, model = mount(HuggingFace)
    replica = model._replicate_for_data_parallel()
    replica.base = model.base._replicate_for_data_parallel()
    replica.base._parameters = model.base._parameters
    x = torch.rand(2, 3, 40, 30)
    torch.testing.assert_close(replica(x), plain(model.resizer(x)))


def test_refuses_files_without_the_resizer(tmp_path):
    _, model = mount(HuggingFace)
    with pytest.raises(InputError, match="save_pretrained would lose the resizer"):
        model.save_pretrained(tmp_path)


def test_refuses_a_second_resizer():
    module = nn.Conv2d(3, 3, 3)
    mount_resizer(module, InterpolationResizer(8))
    with pytest.raises(InputError, match="Conv2d has an attribute `resizer` already"):
        mount_resizer(module, InterpolationResizer(8))
