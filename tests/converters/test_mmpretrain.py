import pytest
import torch
from mmengine.config import Config

from mmresizer.converters.common import load_weights
from mmresizer.converters.mmpretrain import add_resizer, split_resizer
from mmresizer.registry import MODELS
from mmresizer.utils import InputError


def test_in_and_out_again(demo_config):
    cfg = Config.fromfile(demo_config()).model
    torch.manual_seed(0)
    whole = MODELS.build(cfg).eval()
    plain, resizer = split_resizer(whole.state_dict())
    assert len(resizer) == len(whole.resizer.state_dict())

    cfg.type = "ImageClassifier"
    del cfg.resizer
    alone = MODELS.build({**cfg, "_scope_": "mmpretrain"}).eval()
    alone.load_state_dict(plain)
    images = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        expected = whole(images)
        assert torch.equal(alone(whole.resizer(images)), expected)

    again = add_resizer(alone.state_dict(), whole.resizer.state_dict())
    assert set(again) == set(whole.state_dict())
    assert all(torch.equal(v, again[name]) for name, v in whole.state_dict().items())


def test_a_second_resizer_is_refused():
    with pytest.raises(InputError, match="have a resizer already"):
        add_resizer({"resizer.out.bias": torch.zeros(3)}, {})


def test_a_whole_checkpoint_in_place_of_a_resizer():
    whole = {"resizer.out.bias": torch.ones(3), "backbone.w": torch.ones(2)}
    found = add_resizer({"backbone.w": torch.zeros(2)}, whole)
    assert set(found) == {"resizer.out.bias", "backbone.w"}
    assert not found["backbone.w"].any()


def test_swapped_weights_are_refused():
    plain, resizer = {"backbone.w": torch.ones(2)}, {"out.bias": torch.ones(3)}
    with pytest.raises(InputError, match=r"of MMPretrain's, .* but have 'out\.bias'"):
        add_resizer(resizer, plain)
    with pytest.raises(InputError, match=r"of a resizer, .* but have 'backbone\.w'"):
        add_resizer(plain, plain)


def test_a_resizer_inside_another_model_is_refused():
    with pytest.raises(InputError, match=r"but have 'model\.resizer\.out\.bias'"):
        split_resizer({"model.resizer.out.bias": torch.zeros(3)})


def test_tools(demo_config, save_weights, run_tool, tmp_path):
    cfg = Config.fromfile(demo_config())
    model, path = save_weights(cfg.model)
    plain, resizer, again = (tmp_path / f"{x}.pth" for x in ("plain", "r", "again"))
    status, output = run_tool(
        "model_converters/mmresizer_to_mmpretrain.py", path, plain, "--resizer", resizer
    )
    assert status == 0, output
    status, output = run_tool(
        "model_converters/mmpretrain_to_mmresizer.py",
        plain, resizer, again, "--config", tmp_path / "config.py",
    )  # fmt: skip
    assert status == 0, output
    weights = load_weights(str(again))
    assert all(torch.equal(v, weights[name]) for name, v in model.state_dict().items())
    status, output = run_tool(
        "model_converters/mmresizer_to_mmpretrain.py", plain, again, "--resizer", "x"
    )
    assert status == 1
    assert output.splitlines()[-1].endswith("has no weights of a resizer")
    for arguments in ([path], [tmp_path / "x.pth", "--resizer", tmp_path / "x.pth"]):
        status, output = run_tool(
            "model_converters/mmresizer_to_mmpretrain.py", path, *arguments
        )
        assert status == 1
        assert "would be overwritten; take another file" in output.splitlines()[-1]
    assert load_weights(str(path))
    assert not (tmp_path / "x.pth").exists()
