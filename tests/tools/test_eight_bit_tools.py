"""From a trained float resizer to bytes, and what they cost in accuracy."""

import csv
import io

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from PIL import Image
from test_test import model_config

from mmresizer.apis import calibrate_output_range
from mmresizer.hub.loading import load_model
from mmresizer.registry import DATASETS


@pytest.fixture
def trained(demo_config, save_weights):
    config = demo_config()
    return config, save_weights(model_config(config))[1]


@pytest.fixture
def calibrated(run_tool, trained, tmp_path):
    config, weights = trained
    out = tmp_path / "new" / "eight_bit.py"
    status, output = run_tool(
        "deploy/calibrate.py", config, weights, "--out", out, "--images", 20,
        "--work-dir", tmp_path / "run",
    )  # fmt: skip
    assert status == 0, output
    return out, weights, output


def load_test_set(config):
    """Returns images, uint8 BGR, and labels."""
    dataset = DATASETS.build(Config.fromfile(config).test_dataloader.dataset)
    batch = default_collate([dataset[i] for i in range(len(dataset))])
    labels = [dataset.get_data_info(i)["gt_label"] for i in range(len(dataset))]
    return batch["inputs"], torch.tensor(labels)


def accuracy(logits, labels):
    return 100 * (logits.argmax(1) == labels).double().mean().item()


def resize(config, weights, images):
    """Returns the model, and the output of its resizer for images of uint8."""
    model = load_model(Config.fromfile(config), str(weights))
    inputs = model.data_preprocessor({"inputs": images})["inputs"]
    return model, model.resizer(inputs)


@torch.no_grad()
def test_calibration(trained, calibrated):
    out, weights, output = calibrated
    model, small = resize(out, weights, load_test_set(out)[0])
    low, high = model.resizer.output_range
    assert len(low) == len(high) == 3
    plain = load_model(Config.fromfile(trained[0]), str(weights)).resizer
    values = resize(trained[0], weights, load_test_set(out)[0])[1]
    assert plain.eight_bit is None
    # Finer than a wide range would be, and little is cut.
    step = (torch.tensor(high) - torch.tensor(low)) / 255
    inside = (small - values).abs() <= 0.51 * step.view(3, 1, 1)
    assert inside.float().mean() > 0.95
    spread = values.amax((0, 2, 3)) - values.amin((0, 2, 3))
    assert (255 * step < 1.5 * spread).all()
    images, labels = load_test_set(out)
    plain_model, _ = resize(trained[0], weights, images)
    inputs = plain_model.data_preprocessor({"inputs": images})["inputs"]
    before, after = (accuracy(m(inputs), labels) for m in (plain_model, model))
    assert f"accuracy/top1: {before:.4g} before, {after:.4g} in 8 bits" in output


@torch.no_grad()
def test_rates(run_tool, calibrated, tmp_path):
    config, weights, _ = calibrated
    folder = tmp_path / "rates"
    status, output = run_tool(
        "analysis_tools/rate_accuracy.py", "--out", folder,
        "--model", "learned", config, weights,
        "--codecs", "raw", "png", "jpeg-30", "--image-codecs", "jpeg-20",
    )  # fmt: skip
    assert status == 0, output
    with (folder / "rates.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["sent"], row["codec"]) for row in rows] == [
        ("output", "none"), ("output", "raw"), ("output", "png"), ("output", "jpeg-30"),
        ("image", "jpeg-20"),
    ]  # fmt: skip
    images, labels = load_test_set(config)
    model, small = resize(config, weights, images)
    height, width = small.shape[2:]
    assert float(rows[1]["bytes_per_image"]) == height * width * 3
    inputs = model.data_preprocessor({"inputs": images})["inputs"]
    eight_bit, model.resizer.eight_bit = model.resizer.eight_bit, None
    exact = accuracy(model(inputs), labels)
    assert float(rows[0]["value"]) == pytest.approx(exact, abs=1e-3)
    model.resizer.eight_bit = eight_bit
    expected = accuracy(model(inputs), labels)
    for row in rows[1:3]:  # rounded, and then nothing is lost
        assert float(row["value"]) == pytest.approx(expected, abs=1e-3)
    # JPEG by Pillow alone, of the image and of the levels.
    low, high = (torch.tensor(v).view(3, 1, 1) for v in model.resizer.output_range)
    levels = (255 * (small - low) / (high - low)).round().to(torch.uint8)
    sizes, received = send_jpegs(levels, 30)
    values = received / 255 * (high - low) + low
    assert float(rows[3]["bytes_per_image"]) == pytest.approx(sizes, abs=0.06)
    features = model.backbone(values)[-1]
    logits = model.head.fc(features.mean((2, 3)))
    assert float(rows[3]["value"]) == pytest.approx(accuracy(logits, labels), abs=1e-3)
    sizes, received = send_jpegs(images.flip(1), 20)
    assert float(rows[4]["bytes_per_image"]) == pytest.approx(sizes, abs=0.06)
    inputs = model.data_preprocessor({"inputs": received.flip(1)})["inputs"]
    model.resizer.eight_bit = None  # nothing but the image is sent
    expected = accuracy(model(inputs), labels)
    assert float(rows[4]["value"]) == pytest.approx(expected, abs=1e-3)
    assert (folder / "rates.png").stat().st_size > 10_000
    assert "| learned | output | 24x24 | raw | 1,728 |" in output


def send_jpegs(images, quality):
    """Returns the mean size of RGB images as JPEG, and what they are then."""
    sizes, received = [], []
    for image in images.permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        sizes.append(len(file.getvalue()))
        received.append(np.array(Image.open(file)))
    return np.mean(sizes), torch.from_numpy(np.stack(received)).permute(0, 3, 1, 2)


def test_pixels_of_interpolation(run_tool, demo_config, save_weights, tmp_path):
    """They are those of an image: rounded to whole numbers, 0 to 255."""
    config = demo_config("bilinearx4")
    weights = save_weights(model_config(config))[1]
    status, output = run_tool(
        "analysis_tools/rate_accuracy.py", "--out", tmp_path / "rates",
        *["--model", "bilinear", config, weights] * 2, "--codecs", "png",
        "--image-codecs",
    )  # fmt: skip
    assert status == 0, output
    with (tmp_path / "rates" / "rates.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    (line,) = [x for x in output.splitlines() if "| png |" in x]
    value = float(rows[1]["value"])
    assert line.endswith(f"| {value:.4g} ({value:.4g} to {value:.4g}) | 2 |")
    row = rows[1]
    images, _ = load_test_set(config)
    sizes = []
    for image in images:
        small = torch.nn.functional.interpolate(
            image[None].float(), (24, 24), mode="bilinear"
        )
        pixels = small[0].round().to(torch.uint8).flip(0).permute(1, 2, 0).numpy()
        if (pixels == pixels[..., :1]).all():
            pixels = pixels[..., 0]
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG", optimize=True)
        sizes.append(len(file.getvalue()))
    assert float(row["bytes_per_image"]) == pytest.approx(np.mean(sizes), rel=0.01)


def test_range_of_interpolation(demo_config, save_weights):
    config = demo_config("bilinearx4")
    cfg = Config.fromfile(config)
    low, high = calibrate_output_range(cfg, save_weights(model_config(config))[1])
    mean, std = (np.array(cfg.data_preprocessor[key]) for key in ("mean", "std"))
    np.testing.assert_allclose(low, -mean / std, rtol=1e-6)
    np.testing.assert_allclose(high, (255 - mean) / std, rtol=1e-6)


def test_channels_that_do_not_fit(run_tool, demo_config, tmp_path):
    config = demo_config(**{"model.resizer.out_channels": 8})
    status, output = run_tool("train.py", config, "--work-dir", tmp_path / "run")
    assert status == 1
    assert "out_channels=8, but the backbone takes 3 channels" in output
    assert "Traceback" not in output


def test_refuses(run_tool, trained, tmp_path):
    config, weights = trained
    for command, sentence in (
        (
            ["analysis_tools/rate_accuracy.py", "--model", "a", config, weights,
             "--out", "{}/a"],
            "a LearnedResizer without output_range gives no bytes",
        ),
        (
            ["analysis_tools/rate_accuracy.py", "--model", "a", config,
             "--out", "{}/a"],
            "--model: expected 3 arguments",
        ),
        (
            ["analysis_tools/rate_accuracy.py", "--model", "a", config, weights,
             "--out", "{}/a", "--codecs", "gif"],
            "a codec must be raw, png, webp (without loss), webp-QUALITY or jpeg",
        ),
        (
            ["deploy/calibrate.py", config, weights, "--out", "{}/a.txt"],
            "--out must be a file that ends in .py",
        ),
        (
            ["deploy/calibrate.py", config, weights, "--out", config],
            "--out must be a new file, but",
        ),
        (
            ["deploy/calibrate.py", config, weights, "--out", "{}/a.py",
             "--cfg-options", "train_dataloader=None"],
            "has no train_dataloader",
        ),
        (
            ["deploy/calibrate.py", config, "absent.pth", "--out", "{}/a.py"],
            "absent.pth",
        ),
    ):  # fmt: skip
        command = [str(part).format(tmp_path) for part in command]
        status, output = run_tool(*command)
        assert status in (1, 2), output
        assert sentence in output
        assert "Traceback" not in output
        assert not (tmp_path / "a.py").exists()
