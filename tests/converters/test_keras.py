"""Against files that Keras itself has written, and its own outputs."""

import os
import shutil

import numpy as np
import pytest
import torch

from mmresizer.converters.common import save_weights
from mmresizer.converters.keras import convert_keras, export_keras
from mmresizer.models import LearnedResizer
from mmresizer.registry import MODELS
from mmresizer.utils import InputError

os.environ["KERAS_BACKEND"] = "torch"
keras = pytest.importorskip("keras", reason="needs keras (requirements/tests.txt)")
pytest.importorskip("h5py", reason="needs h5py (requirements/optional.txt)")

FORMATS = ("model.h5", "model.weights.h5", "model.keras")
SIZE = 32


def conv(x, channels, size, use_bias):
    layer = keras.layers.Conv2D(channels, size, padding="same", use_bias=use_bias)
    return layer(x)


def act(x):
    return keras.layers.LeakyReLU(negative_slope=0.2)(x)


def norm(x):
    return keras.layers.BatchNormalization()(x)


def build_resizer(num_blocks=1, channels=16):
    """The figure of the paper, in Keras."""
    image = keras.Input((None, None, 3))
    z = norm(act(conv(act(conv(image, channels, 7, True)), channels, 1, True)))
    z = x = keras.layers.Resizing(SIZE, SIZE)(z)
    for _ in range(num_blocks):
        y = act(norm(conv(x, channels, 3, False)))
        x = keras.layers.Add()([x, norm(conv(y, channels, 3, False))])
    x = keras.layers.Add()([z, norm(conv(x, channels, 3, False))])
    skip = keras.layers.Resizing(SIZE, SIZE)(image)
    return keras.Model(image, keras.layers.Add()([skip, conv(x, 3, 7, True)]))


def build_whole():
    densenet = keras.applications.DenseNet121(
        weights=None,
        classes=2,
        input_shape=(SIZE, SIZE, 3),
        classifier_activation=None,
    )
    image = keras.Input((2 * SIZE, 2 * SIZE, 3))
    scaled = keras.layers.Rescaling(1 / 255)(image)
    return keras.Model(image, densenet(build_resizer()(scaled)))


def randomize(model):
    """As after training: no norm is the identity, none has a large gain."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        name, shape = weight.path.rpartition("/")[2], weight.shape
        if name == "kernel":
            continue
        low, high = (0.5, 1.5) if name in ("gamma", "moving_variance") else (-0.2, 0.2)
        weight.assign(rng.uniform(low, high, shape).astype("float32"))
    return model


def save(model, path):
    (model.save_weights if ".weights." in path.name else model.save)(path)
    return str(path)


@pytest.fixture(scope="module")
def resizer(tmp_path_factory):
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("resizer")
    model = randomize(build_resizer(num_blocks=2))
    return model, {name: save(model, folder / name) for name in FORMATS}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("whole")
    model = randomize(build_whole())
    return model, {name: save(model, folder / name) for name in FORMATS}


def build_ours():
    return MODELS.build(
        dict(
            type="mmresizer.ResizerClassifier",
            resizer=dict(type="mmresizer.LearnedResizer", output_size=SIZE),
            backbone=dict(type="mmpretrain.DenseNet", arch="121"),
            neck=dict(type="mmpretrain.GlobalAveragePooling"),
            head=dict(type="mmpretrain.LinearClsHead", num_classes=2, in_channels=1024),
        )
    ).eval()


def images(size):
    """One is dark, so that no model can give both the same."""
    images = np.random.default_rng(1).uniform(0, 255, (2, size, size, 3))
    return (images * np.reshape([0.2, 1], (2, 1, 1, 1))).astype("f4")


def channels_first(array):
    return torch.from_numpy(array).permute(0, 3, 1, 2)


def logits(model, array):
    with torch.no_grad():
        return model(channels_first(array) / 255).numpy()


@pytest.mark.parametrize("name", FORMATS)
def test_resizer_alone(resizer, name):
    model, files = resizer
    ours = LearnedResizer(output_size=SIZE, num_blocks=2).eval()
    ours.load_state_dict(convert_keras(files[name]))
    array = images(40) / 255
    with torch.no_grad():
        found = ours(channels_first(array)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(found, model.predict(array, verbose=0), atol=1e-5)


@pytest.mark.parametrize("name", FORMATS)
def test_whole_model(whole, name):
    model, files = whole
    ours = build_ours()
    ours.load_state_dict(convert_keras(files[name]))
    array = images(2 * SIZE)
    expected = model.predict(array, verbose=0)
    assert np.abs(expected[0] - expected[1]).max() > 1e-3
    np.testing.assert_allclose(logits(ours, array), expected, atol=1e-5)


@pytest.mark.parametrize("name", FORMATS)
def test_back_to_keras(whole, name, tmp_path):
    """Into the file of another model, which Keras then reads."""
    _, files = whole
    ours = build_ours()
    torch.manual_seed(0)
    for parameter in ours.parameters():
        torch.nn.init.trunc_normal_(parameter, 0.0 if parameter.ndim > 1 else 0.7, 0.05)
    out = export_keras(ours.state_dict(), files[name], str(tmp_path / name))
    other = build_whole()
    if name.endswith(".keras"):
        other = keras.models.load_model(out)
    else:
        other.load_weights(out)
    array = images(2 * SIZE)
    np.testing.assert_allclose(
        other.predict(array, verbose=0), logits(ours, array), atol=1e-5
    )
    again = convert_keras(str(out))
    for key, value in ours.state_dict().items():
        torch.testing.assert_close(again[key], value, rtol=0, atol=1e-6)


def test_tools(whole, run_tool, tmp_path):
    _, files = whole
    config = tmp_path / "config.py"
    config.write_text(
        "_base_ = ['mmresizer::cats_dogs/"
        "resizerx2_densenet121_1xb64_cats-dogs-subset_150px.py']\n"
    )
    there = tmp_path / "there.pth"
    status, output = run_tool(
        "model_converters/keras_to_mmresizer.py",
        files["model.keras"], there, "--config", config,
    )  # fmt: skip
    assert (status, output.splitlines()[-1]) == (0, str(there))
    back = tmp_path / "back.keras"
    status, output = run_tool(
        "model_converters/mmresizer_to_keras.py", there, files["model.keras"], back
    )
    assert (status, output.splitlines()[-1]) == (0, str(back))
    array = images(2 * SIZE)
    np.testing.assert_allclose(
        keras.models.load_model(back).predict(array, verbose=0),
        whole[0].predict(array, verbose=0),
        atol=1e-6,
    )


def test_refuses_another_model(tmp_path):
    image = keras.Input((8, 8, 3))
    path = save(keras.Model(image, conv(image, 3, 3, True)), tmp_path / "x.keras")
    with pytest.raises(InputError, match=r"must be of Keras's example.*1 convolutions"):
        convert_keras(path)


def test_refuses_other_layers(tmp_path):
    image = keras.Input((8, 8, 3))
    y = keras.layers.DepthwiseConv2D(3)(keras.layers.PReLU()(image))
    path = save(keras.Model(image, y), tmp_path / "x.h5")
    with pytest.raises(InputError, match="of Keras's example, but has a layer of"):
        convert_keras(path)


def test_refuses_damaged_files(resizer, tmp_path):
    _, files = resizer
    for name in FORMATS:
        path = tmp_path / name
        with open(files[name], "rb") as file:
            path.write_bytes(file.read()[:2000])
        with pytest.raises(
            InputError, match=r"must be a \.h5, \.weights\.h5 or \.keras"
        ):
            convert_keras(str(path))
    with pytest.raises(InputError, match=r"the file 'none\.h5' does not exist"):
        convert_keras("none.h5")


def test_export_refuses(resizer, whole, tmp_path):
    ours = LearnedResizer(output_size=SIZE, num_blocks=2).state_dict()
    template = resizer[1]["model.keras"]
    out = tmp_path / "out.keras"
    for weights, message in (
        ({"out.weight": ours["out.weight"]}, "the weights have no"),
        (ours | {"more": torch.zeros(1)}, "has no place for more"),
        (ours | {"out.bias": torch.zeros(4)}, "'out.bias' has the shape"),
    ):
        with pytest.raises(InputError, match=message):
            export_keras(weights, template, str(out))
    with pytest.raises(InputError, match="must be of the template's format"):
        export_keras(ours, template, str(tmp_path / "out.h5"))
    with pytest.raises(InputError, match=r"the template's format, \.weights\.h5"):
        export_keras(ours, resizer[1]["model.weights.h5"], str(tmp_path / "out.h5"))
    assert not list(tmp_path.iterdir())


def test_keeps_a_file_that_does_not_fit(resizer, tmp_path):
    """The converted weights are checked before they replace anything."""
    out = tmp_path / "out.pth"
    out.write_text("kept")
    config = tmp_path / "config.py"
    shutil.copy(resizer[1]["model.keras"], tmp_path / "x.keras")
    config.write_text(
        "_base_ = ['mmresizer::cats_dogs/"
        "resizerx2_densenet121_1xb64_cats-dogs-subset_150px.py']\n"
    )
    with pytest.raises(InputError, match="does not fit the model of the config"):
        save_weights(convert_keras(str(tmp_path / "x.keras")), out, config=str(config))
    assert out.read_text() == "kept"
