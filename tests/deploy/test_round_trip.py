"""All images of validation sets: the two parts, bytes between them, and the model."""

import io

import pytest
import torch
from mmengine.dataset import Compose
from mmpretrain.registry import DATASETS, TRANSFORMS
from PIL import Image

from conftest import DATA
from mmresizer.deploy.serving import Split, export_split
from mmresizer.hub.loading import find_config, load_named_model
from mmresizer_client import parse_codec

pytestmark = pytest.mark.slow


def load_files(root, cfg):
    """Yields (file, the input of MMPretrain's pipeline, class) of validation images."""
    if (lines := root / "meta" / "val.txt").is_file():
        pairs = [line.rsplit(" ", 1) for line in lines.read_text().splitlines()]
        files = [(root / name, int(label)) for name, label in pairs]
    else:
        classes = sorted((root / "val").iterdir())
        files = [(f, n) for n, c in enumerate(classes) for f in sorted(c.iterdir())]
    steps = cfg.test_dataloader.dataset.pipeline
    steps = [dict(step) for step in steps if step["type"] != "PackInputs"]
    load = Compose(
        [TRANSFORMS.build(step) for step in [*steps, dict(type="PackInputs")]]
    )
    for file, label in files:
        inputs = load(dict(img_path=str(file), gt_label=0))["inputs"]
        yield file.read_bytes(), inputs, label


def draw_textures(cfg):
    """Yields the same of images that are drawn, 400 of them."""
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    for n in range(len(dataset)):
        item = dataset[n]
        file = io.BytesIO()
        Image.fromarray(item["inputs"].numpy()[::-1].transpose(1, 2, 0)).save(
            file, "PNG"
        )
        yield file.getvalue(), item["inputs"], int(item["data_samples"].gt_label)


@pytest.mark.parametrize(
    ("name", "folder", "accuracy"),
    [
        ("resizerx4_resnet18-cifar-w16_1xb32-8bit_fine-textures_24px", None, 1.0),
        pytest.param(
            *("resizerx4_mobilenet-v2_1xb32-8bit_flowers12_56px", "flowers12", 0.783),
            marks=pytest.mark.data,
        ),
        pytest.param(
            "resizer-aax16.67_resnet14-cifar_1xb64-8bit_neu-steel_12px",
            *("neu_steel", 0.960),
            marks=pytest.mark.data,
        ),
        pytest.param(
            "resizer-aax16.67_resnet14-cifar_1xb64-8bit_scene-15_12px",
            *("scene_15", 0.660),
            marks=pytest.mark.data,
        ),
    ],
)
def test_classes_are_those_of_the_whole_model(name, folder, accuracy, tmp_path):
    if folder and not (DATA / folder).is_dir():
        pytest.skip(f"needs data/{folder}")
    export_split(name, tmp_path)
    split = Split(tmp_path)
    codec = parse_codec("webp+planes")
    model = load_named_model(name)
    cfg = find_config(name)[0]
    right = []
    for content, inputs, label in (
        load_files(DATA / folder, cfg) if folder else draw_textures(cfg)
    ):
        with torch.no_grad():
            expected = model(model.data_preprocessor(dict(inputs=[inputs]))["inputs"])
        sent = codec.encode(split.resizer.resize(split.pipeline(content)))
        levels = codec.decode(sent, split.shape)
        logits = split.backbone.run(levels.transpose(2, 0, 1)[None])
        assert logits.argmax() == expected.argmax(), len(right)
        right.append(int(logits.argmax()) == label)
    assert sum(right) / len(right) == pytest.approx(accuracy, abs=1e-3)
