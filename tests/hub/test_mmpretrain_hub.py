import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmpretrain import ImageClassificationInferencer, get_model, inference_model
from mmpretrain import list_models as list_mmpretrain
from mmpretrain.apis import ModelHub

from mmresizer.hub import list_models, register_models
from mmresizer.registry import DATASETS, TRANSFORMS

NAME = "resizerx4_resnet18-cifar-w16_1xb32_fine-textures_24px"


def test_lists_our_models_beside_mmpretrains():
    ours = {
        model.name
        for model in list_models("*resizer*")
        if model.library == "MMPretrain"
    }
    assert set(list_mmpretrain("*resizer*")) == ours
    assert list_models("*_coco_*")
    assert not list_mmpretrain("*_coco_*")  # detectors
    assert list_models("*_ava_*")
    assert list_models("*degraded*")
    assert not list_mmpretrain("*_ava_*")  # models of quality have no classes
    assert not list_mmpretrain("*degraded*")
    assert "resnet50_8xb32_in1k" in list_mmpretrain("resnet50*")


def test_registering_again_changes_nothing():
    before = dict(ModelHub._models_dict)
    register_models()
    assert ModelHub._models_dict == before
    assert list_mmpretrain("swin*")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A validation image of each class, as files, and the names of the classes."""
    model = get_model(NAME)
    dataset = DATASETS.build(model._config.val_dataloader.dataset)
    folder = tmp_path_factory.mktemp("images")
    paths, names = [], []
    for i in range(8):
        sample = dataset[i]
        path = folder / f"{i}.png"
        cv2.imwrite(str(path), sample["inputs"].permute(1, 2, 0).numpy())
        paths.append(str(path))
        names.append(dataset.metainfo["classes"][sample["data_samples"].gt_label])
    return paths, names


def test_pretrained_model_and_inferencer(images):
    """With 100 % on the validation set, all eight are right."""
    paths, names = images
    assert len(set(names)) == 8
    inferencer = ImageClassificationInferencer(NAME, pretrained=True)
    results = inferencer(paths, batch_size=3)
    assert [result["pred_class"] for result in results] == names
    result = inference_model(NAME, paths[0], pretrained=True)
    assert result["pred_class"] == names[0]
    array = inference_model(NAME, cv2.imread(paths[0]), pretrained=True)
    assert array["pred_score"] == pytest.approx(result["pred_score"], abs=1e-6)


def test_inference_by_a_pipeline_that_loads(tmp_path):
    """File and array go through the rest of the pipeline, which resizes and packs."""
    rng = np.random.default_rng(0)
    path = str(tmp_path / "flower.png")
    cv2.imwrite(path, rng.integers(0, 256, (90, 120, 3), np.uint8))
    name = "resizerx4_mobilenet-v2_1xb32_flowers12_56px"
    model = get_model(name, pretrained=True)
    result = inference_model(model, path)
    assert result["pred_class"] in model._dataset_meta["classes"]
    array = inference_model(model, cv2.imread(path))
    assert array["pred_class"] == result["pred_class"]
    dataset = model._config.test_dataloader.dataset
    pipeline = Compose([TRANSFORMS.build(t) for t in dataset.pipeline])
    data = pipeline({"img_path": path})
    batch = {"inputs": [data["inputs"]], "data_samples": [data["data_samples"]]}
    (expected,) = model.test_step(batch)
    scores = expected.pred_score.detach().numpy()
    np.testing.assert_allclose(result["pred_scores"], scores, atol=1e-5)


def test_untrained_model():
    model = get_model("resizerx4_mobilenet-v2_1xb32_flowers12_56px", pretrained=False)
    assert model(torch.rand(1, 3, 224, 224)).shape == (1, 12)
