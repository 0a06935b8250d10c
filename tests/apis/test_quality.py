import csv
import os
import re

import cv2
import numpy as np
import PIL.Image
import pytest
import torch
from mmengine.config import Config
from mmpretrain.models import build_classifier

from mmresizer.apis import (
    Quality,
    QualityPredictor,
    draw_contact_sheet,
    predict_quality,
    quality,
    write_scores,
)
from mmresizer.utils import InputError

# Sizes that stay different behind the pipeline's ResizeEdge, but for a and c.
SIZES = {"a.png": (60, 90), "b.png": (96, 96), "below/c.png": (60, 90)}
EDGE = 48


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "in" / "below").mkdir(parents=True)
    for name, size in SIZES.items():
        pixels = rng.integers(0, 256, (*size, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "in" / name), pixels)
    return tmp_path / "in"


@pytest.fixture
def iqa(tmp_path, save_weights):
    """Writes a config with a small model and its weights; returns both paths."""

    def iqa(loader="mmresizer.LoadImageFromFile", **head):
        head = dict(type="mmresizer.IQAHead", in_channels=64) | head
        # Scores that differ between images, without a training.
        head["init_cfg"] = dict(type="Normal", layer="Linear", std=1.0)
        cfg = Config(
            dict(
                default_scope="mmpretrain",
                custom_imports=dict(imports=["mmresizer"]),
                model=dict(
                    type="mmresizer.ResizerClassifier",
                    resizer=dict(type="mmresizer.InterpolationResizer", output_size=24),
                    backbone=dict(
                        type="mmpretrain.ResNet_CIFAR",
                        depth=18,
                        base_channels=8,
                        stem_channels=8,
                    ),
                    neck=dict(type="mmpretrain.GlobalAveragePooling"),
                    head=head,
                ),
                data_preprocessor=dict(mean=[120, 110, 100], std=[60, 55, 50]),
                test_dataloader=dict(
                    dataset=dict(
                        pipeline=[
                            dict(type=loader),
                            dict(type="ResizeEdge", scale=EDGE, backend="pillow"),
                            dict(type="PackInputs", algorithm_keys=["gt_mean"]),
                        ]
                    )
                ),
            )
        )
        cfg.dump(tmp_path / "config.py")
        return tmp_path / "config.py", save_weights(cfg.model)[1]

    return iqa


def predict_by_hand(config, weights, path):
    """Returns the logits of a file, by Pillow and torch."""
    with PIL.Image.open(path) as image:
        factor = EDGE / min(image.size)
        size = [round(side * factor) for side in image.size]
        pixels = np.array(image.resize(size, PIL.Image.Resampling.BILINEAR))
    bgr = torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1).float()
    mean, std = torch.tensor([[120, 110, 100], [60, 55, 50]]).view(2, 3, 1, 1)
    model = build_classifier(Config.fromfile(config).model).eval()
    model.load_state_dict(torch.load(weights)["state_dict"])
    with torch.no_grad():
        return model(((bgr - mean) / std)[None])[0]


@pytest.mark.parametrize("loader", ["mmresizer.LoadImageFromFile", "LoadImageFromFile"])
def test_scores_are_those_of_the_model(folder, iqa, loader):
    """Mean and standard deviation of the softmax; files in the order of their names."""
    config, weights = iqa(loader)
    found = predict_quality(str(config), str(folder), weights, batch_size=3)
    assert [q.image for q in found] == [str(folder / name) for name in SIZES]
    for scored in found:
        logits = predict_by_hand(config, weights, scored.image).double().numpy()
        parts = np.exp(logits) / np.exp(logits).sum()
        draws = np.arange(1, 11)
        mean = (parts * draws).sum()
        np.testing.assert_allclose(scored.distribution, parts, atol=1e-5)
        assert scored.mean == pytest.approx(mean, abs=1e-4)
        std = np.sqrt((parts * draws**2).sum() - mean**2)
        assert scored.std == pytest.approx(std, abs=1e-4)
    assert len({round(q.mean, 2) for q in found}) == 3


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_change_nothing(folder, iqa, num_workers):
    """Images of two sizes, in whatever batches and order."""
    predictor = QualityPredictor(*iqa(), device="cpu")
    files = [folder / name for name in ("b.png", "below/c.png", "a.png", "b.png")]
    found = predict_quality(predictor, files, batch_size=4, num_workers=num_workers)
    assert [q.image for q in found] == [str(file) for file in files]
    for scored in found:
        (alone,) = predict_quality(predictor, scored.image)
        np.testing.assert_allclose(scored.distribution, alone.distribution, atol=1e-5)
        assert scored[1:3] == pytest.approx(alone[1:3], abs=1e-4)


def test_all_kinds_of_images_give_the_same(folder, iqa):
    config, weights = iqa("LoadImageFromFile")
    path = folder / "a.png"
    array = cv2.imread(str(path))
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    predictor = QualityPredictor(config, weights)
    (expected,) = predict_quality(predictor, path)
    found = predict_quality(
        predictor, [str(folder / "a*"), array, tensor, torch.stack([tensor.float()])]
    )
    assert [q.image for q in found] == [str(path), "000001", "000002", "000003"]
    for scored in found:
        assert scored.mean == pytest.approx(expected.mean, abs=1e-4)


def test_a_model_or_a_config(folder, iqa):
    config, weights = iqa()
    cfg = Config.fromfile(config)
    (expected,) = predict_quality(config, folder / "a.png", weights)
    (found,) = predict_quality(cfg, folder / "a.png", weights)
    assert found.mean == expected.mean
    model = QualityPredictor(config, weights).model
    (found,) = predict_quality(model.train(), folder / "a.png")
    assert found.mean == expected.mean
    with pytest.raises(InputError, match="a checkpoint goes with a config"):
        QualityPredictor(model, weights)
    del model._config
    with pytest.raises(InputError, match="must have its config as `_config`"):
        QualityPredictor(model)


def test_files_are_decoded_at_the_scale_of_the_pipeline(tmp_path, iqa):
    """A large JPEG file, by a pipeline whose loader has ``min_size``."""
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "large.jpg"), noise)
    config, weights = iqa()
    cfg = Config.fromfile(config)
    cfg.test_dataloader.dataset.pipeline[0].min_size = 100
    predictor = QualityPredictor(cfg, weights)
    image = predictor.load({"img_path": str(tmp_path / "large.jpg")})["img"]
    assert image.shape == (100, 100, 3)


def test_a_model_of_one_channel_gets_grey_images(folder, iqa):
    """Files and arrays; the scores are those of OpenCV's grey values."""
    config, weights = iqa("LoadImageFromFile")
    cfg = Config.fromfile(config)
    cfg.data_preprocessor = dict(mean=[115], std=[55], to_rgb=False)
    cfg.model.backbone.in_channels = 1
    cfg.test_dataloader.dataset.pipeline[0].color_type = "grayscale"
    state = torch.load(weights)["state_dict"]
    first = "backbone.conv1.weight"
    state[first] = state[first].sum(1, keepdim=True)
    torch.save({"state_dict": state, "meta": {}}, weights)
    predictor = QualityPredictor(cfg, weights, device="cpu")
    grey = cv2.imread(str(folder / "b.png"), cv2.IMREAD_GRAYSCALE)
    found = predict_quality(predictor, [folder / "b.png", grey])
    pixels = np.array(
        PIL.Image.fromarray(grey).resize((EDGE, EDGE), PIL.Image.Resampling.BILINEAR)
    )
    with torch.no_grad():
        inputs = (torch.from_numpy(pixels)[None, None].float() - 115) / 55
        parts = predictor.model(inputs)[0].softmax(0).numpy()
    for scored, limit in zip(found, (1e-2, 1e-5), strict=True):
        np.testing.assert_allclose(scored.distribution, parts, atol=limit)


def test_regression_has_means_alone(folder, iqa, tmp_path):
    config, weights = iqa(regression=True)
    found = predict_quality(config, folder, weights)
    for scored in found:
        logit = predict_by_hand(config, weights, scored.image).item()
        assert scored.mean == pytest.approx(5.5 + logit, abs=1e-4)
        assert scored[2:] == (None, None)
    write_scores(found, tmp_path / "scores.csv")
    rows = list(csv.reader((tmp_path / "scores.csv").open()))
    assert rows == [["image", "mean"], *([q.image, f"{q.mean:.4f}"] for q in found)]
    draw_contact_sheet(found, tmp_path / "sheet.png")


def test_a_table_of_scores(tmp_path):
    parts = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    scored = [
        Quality('odd, "name".png', 3.0, 1.0, parts),
        Quality("b.png", 2.0, 1.0, parts[::-1]),
    ]
    path = tmp_path / "new" / "scores.csv"
    write_scores(scored, path)
    rows = list(csv.DictReader(path.open()))
    assert list(rows[0]) == ["image", "mean", "std", "p1", "p2", "p3", "p4"]
    for row, expected in zip(rows, scored, strict=True):
        assert row["image"] == expected.image
        assert (row["mean"], row["std"]) == (f"{expected.mean}000", "1.0000")
        found = [float(row[f"p{i}"]) for i in range(1, 5)]
        np.testing.assert_allclose(found, expected.distribution, atol=1e-5)
        assert sum(found) == pytest.approx(1)
    with pytest.raises(InputError, match="must have the scores of at least one image"):
        write_scores([], path)
    assert [p.name for p in path.parent.iterdir()] == ["scores.csv"]


@pytest.mark.parametrize(
    ("count", "limit", "ranks"),
    [
        (3, 60, [0, 1, 2]),
        (4, 4, [0, 1, 2, 3]),
        (9, 3, [0, 4, 8]),
        (10, 1, [0]),
        (1, 5, [0]),
    ],
)
def test_ranks_of_a_sheet(count, limit, ranks):
    assert quality._choose_ranks(count, limit) == ranks


def test_ranks_are_evenly_spaced():
    ranks = quality._choose_ranks(240, 60)
    assert (ranks[0], ranks[-1], len(ranks)) == (0, 239, 60)
    assert set(np.diff(ranks)) == {4, 5}


@pytest.fixture
def colours(tmp_path):
    """Five images, each of one colour, and their scores."""
    colours = {
        "red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255),
        "black": (0, 0, 0), "yellow": (255, 255, 0),
    }  # fmt: skip
    scores = dict(zip(colours, (5.0, 2.0, 9.0, 3.0, 7.0), strict=True))
    for name, colour in colours.items():
        PIL.Image.new("RGB", (80, 40), colour).save(tmp_path / f"{name}.png")
    return [
        Quality(str(tmp_path / f"{name}.png"), score, 1.0, None)
        for name, score in scores.items()
    ]


@pytest.mark.parametrize(
    ("columns", "limit", "expected"),
    [
        (2, 60, [["blue", "yellow"], ["red", "black"], ["lime"]]),
        (9, 3, [["blue", "red", "lime"]]),
    ],
)
def test_a_sheet_shows_the_best_first(colours, tmp_path, columns, limit, expected):
    """The centres of the thumbnails, and the bars above images of 2:1."""
    draw_contact_sheet(colours, tmp_path / "new" / "sheet.png", columns, limit)
    sheet = PIL.Image.open(tmp_path / "new" / "sheet.png")
    assert sheet.format == "PNG"
    size, step_x, step_y = 180, 192, 228
    for row, names in enumerate(expected):
        for column, name in enumerate(names):
            x, y = 12 + column * step_x + size // 2, 42 + row * step_y + size // 2
            colour = PIL.Image.new("RGB", (1, 1), name).getpixel((0, 0))
            assert sheet.getpixel((x, y)) == colour, name
            for shift, inside in ((43, True), (47, False), (88, False)):
                for pixel in (sheet.getpixel((x, y + s * shift)) for s in (-1, 1)):
                    assert (pixel == colour) is inside
    rows, columns = len(expected), len(expected[0])
    assert sheet.height == 42 + rows * step_y
    assert sheet.width >= 12 + columns * step_x


def test_a_sheet_loads_only_what_it_shows(colours, tmp_path):
    absent = [Quality("absent.png", 4.0 + i / 10, 1.0, None) for i in range(5)]
    draw_contact_sheet([*absent, *colours], tmp_path / "sheet.png", max_images=2)
    before = (tmp_path / "sheet.png").read_bytes()
    with pytest.raises(InputError, match=r"cannot load the image 'absent\.png'"):
        draw_contact_sheet([*absent, *colours], tmp_path / "sheet.png")
    for kwargs in (dict(columns=0), dict(max_images=0)):
        with pytest.raises(InputError, match="must be an int of 1 or more, got 0"):
            draw_contact_sheet(colours, tmp_path / "sheet.png", **kwargs)
    with pytest.raises(InputError, match="must have the scores of at least one image"):
        draw_contact_sheet([], tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes() == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_names_that_are_no_text(tmp_path):
    """A name that is no UTF-8 keeps its bytes in the table, and is drawn."""
    name = os.fsencode(tmp_path) + b"/$x$ \xff.png"
    PIL.Image.new("RGB", (8, 8)).save(os.fsdecode(name))
    scored = [Quality(os.fsdecode(name), 3.0, None, None)]
    write_scores(scored, tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_bytes() == b"image,mean\n%b,3.0000\n" % name
    draw_contact_sheet(scored, tmp_path / "sheet.png")


def test_long_names_are_shortened(tmp_path, colours):
    """The middle goes: numbers and suffixes at the end tell files apart."""
    font = PIL.ImageFont.load_default(13)
    name = f"{'w' * 50}_0123.jpg"
    short = quality._shorten(name, font)
    assert font.getlength(short) <= 180 < font.getlength(name)
    head, tail = short.split("…")
    assert name.startswith(head)
    assert name.endswith(tail)
    assert tail.endswith("123.jpg")
    assert quality._shorten("a.jpg", font) == "a.jpg"


def test_images_that_cannot_be_scored(folder, iqa):
    """Unreadable, or too small for the resizer: left out and reported."""
    (folder / "0.jpg").write_bytes(b"no image")
    config, weights = iqa()
    small = Config.fromfile(config)
    small.model.resizer = dict(
        type="mmresizer.InterpolationResizer", scale_factor=0.005
    )
    errors = []
    found = predict_quality(
        config, folder, weights, on_error=lambda *error: errors.append(error)
    )
    assert len(found) == 3
    assert [name for name, _ in errors] == [str(folder / "0.jpg")]
    with pytest.raises(InputError, match=r"cannot load the image '.*0\.jpg'"):
        predict_quality(config, folder, weights)
    name = re.escape(str(folder / "a.png"))
    with pytest.raises(InputError, match=f"cannot score the image '{name}': .*48x72"):
        predict_quality(small, folder / "a.png", weights)
    predictor = QualityPredictor(config, weights)
    predictor._pipeline = lambda results: 1 / 0
    with pytest.raises(InputError, match=f"cannot prepare the image '{name}': .*60x90"):
        predict_quality(predictor, folder / "a.png")


def test_refuses_arguments(folder, iqa):
    config, weights = iqa()
    without, unknown = Config.fromfile(config), Config.fromfile(config)
    without.test_dataloader = None
    unknown.test_dataloader.dataset.pipeline[1].type = "Origami"
    for kwargs, message in (
        (dict(checkpoint=None), "needs a checkpoint"),
        (dict(model=without), "the config .* has no test pipeline"),
        (dict(model=unknown), "cannot build the test pipeline of .*Origami"),
        (dict(batch_size=0), "batch_size must be an int of 1 or more, got 0"),
        (dict(num_workers=-1), "num_workers must be an int of 0 or more, got -1"),
        (dict(device="abacus"), "the device 'abacus' is not there"),
        (dict(images="nowhere*"), r"no file matches the pattern 'nowhere\*'"),
        (dict(out_dir=folder / "a.png"), "the output folder .* is a file"),
        (
            dict(model=QualityPredictor(config, weights)),
            "are those of the QualityPredictor already",
        ),
        (
            dict(
                model="resizerx4_resnet18-cifar-w16_1xb32_fine-textures_24px",
                checkpoint=None,
            ),
            "the head of ResizerClassifier must be an IQAHead, but is LinearClsHead",
        ),
    ):
        with pytest.raises(InputError, match=message):
            predict_quality(
                **(dict(model=config, images=folder, checkpoint=weights) | kwargs)
            )


def test_the_tool(folder, iqa, tmp_path, run_tool):
    """Twice, into a folder below the first one's: outputs are no inputs."""
    (folder / "0.jpg").write_bytes(b"no image")
    config, weights = iqa()
    expected = predict_quality(
        config, folder, weights, on_error=lambda *error: None, device="cpu"
    )
    best, *_, worst = sorted(expected, key=lambda q: -q.mean)
    out = folder / "out"
    for _ in range(2):
        status, output = run_tool(
            "iqa_predict.py", config, folder, "--checkpoint", weights, "--out", out,
            "--columns", 2, "--device", "cpu",
        )  # fmt: skip
        assert status == 1
        assert (
            f"3 images, mean scores from {worst.mean:.2f} ({worst.image!r}) to "
            f"{best.mean:.2f} ({best.image!r})\n{out}/scores.csv\n"
            f"{out}/contact_sheet.png\nerror: cannot load the image"
        ) in output
        assert output.count("error: ") == 1
    rows = list(csv.DictReader((out / "scores.csv").open()))
    assert [row["image"] for row in rows] == [q.image for q in expected]
    for row, scored in zip(rows, expected, strict=True):
        assert float(row["mean"]) == pytest.approx(scored.mean, abs=2e-4)
    assert PIL.Image.open(out / "contact_sheet.png").size == (396, 498)
    assert len(list(out.iterdir())) == 2


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("no folder", "none of the 1 images could be scored"),
        ("no weights", "needs a checkpoint: a config comes without weights"),
        ("another head", "must be an IQAHead, but is LinearClsHead"),
        ("its own sheet", "would be overwritten; take another folder"),
        ("its own folder", "has no images .* outside of the output folder"),
    ],
)
def test_the_tool_refuses(folder, iqa, tmp_path, run_tool, kind, sentence):
    head = {}
    if kind == "another head":
        loss = dict(type="mmpretrain.CrossEntropyLoss")
        head = dict(type="mmpretrain.LinearClsHead", num_classes=2, loss=loss)
    config, weights = iqa(**head)
    out, images = tmp_path / "out", folder
    arguments = ["--checkpoint", weights]
    if kind == "no folder":
        images = tmp_path / "nowhere"
    elif kind == "no weights":
        arguments = []
    elif kind == "its own sheet":
        images = out / "contact_sheet.png"
    elif kind == "its own folder":
        out = folder
    status, output = run_tool(
        "iqa_predict.py", config, images, "--out", out, *arguments
    )
    assert status == 1
    assert "Traceback" not in output
    assert re.search(f"^error: .*{sentence}", output.splitlines()[-1])
    assert not (out / "scores.csv").exists()
    assert not (out / "contact_sheet.png").exists()


@pytest.mark.gpu
def test_on_a_gpu(folder, iqa):
    config, weights = iqa()
    for found, expected in zip(
        predict_quality(config, folder, weights, device="cuda"),
        predict_quality(config, folder, weights, device="cpu"),
        strict=True,
    ):
        assert found.mean == pytest.approx(expected.mean, abs=0.01)
        assert found.std == pytest.approx(expected.std, abs=0.01)
