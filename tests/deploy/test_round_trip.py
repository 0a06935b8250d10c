"""All images of validation sets: the two parts, bytes between them, and the model."""

import pytest
import torch
from mmengine.dataset import Compose
from mmpretrain.registry import TRANSFORMS

from conftest import DATA
from mmresizer.deploy.serving import Split, export_split
from mmresizer.hub.loading import find_config, load_named_model
from mmresizer_client import parse_codec

# Name -> folder of the data, and least accuracy.
MODELS = {
    "resizerx4_mobilenet-v2_1xb32-8bit_flowers12_56px": ("flowers12", 0.783),
    "resizer-aax16.67_resnet14-cifar_1xb64-8bit_neu-steel_12px": ("neu_steel", 0.959),
    "resizer-aax16.67_resnet14-cifar_1xb64-8bit_scene-15_12px": ("scene_15", 0.659),
}


def list_images(folder):
    """Returns (file, class) of all validation images."""
    if (lines := folder / "meta" / "val.txt").is_file():
        pairs = [line.rsplit(" ", 1) for line in lines.read_text().splitlines()]
        return [(folder / name, int(label)) for name, label in pairs]
    classes = sorted((folder / "val").iterdir())
    return [(f, n) for n, c in enumerate(classes) for f in sorted(c.iterdir())]


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_classes_are_those_of_the_whole_model(name, tmp_path):
    folder, least = MODELS[name]
    if not (DATA / folder).is_dir():
        pytest.skip(f"needs data/{folder}")
    export_split(name, tmp_path)
    split = Split(tmp_path)
    codec = parse_codec("webp+planes")
    model = load_named_model(name)
    steps = find_config(name)[0].test_dataloader.dataset.pipeline
    steps = [dict(step) for step in steps if step["type"] != "PackInputs"]
    load = Compose(
        [TRANSFORMS.build(step) for step in [*steps, dict(type="PackInputs")]]
    )
    right = 0
    for file, label in list_images(DATA / folder):
        inputs = load(dict(img_path=str(file), gt_label=0))["inputs"]
        with torch.no_grad():
            expected = model(model.data_preprocessor(dict(inputs=[inputs]))["inputs"])
        sent = codec.encode(split.resizer.resize(split.pipeline(file.read_bytes())))
        levels = codec.decode(sent, split.shape)
        logits = split.backbone.run(levels.transpose(2, 0, 1)[None])
        assert logits.argmax() == expected.argmax(), file
        right += int(logits.argmax()) == label
    assert right / len(list_images(DATA / folder)) >= least
