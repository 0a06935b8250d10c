import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmresizer.config.checks import (
    check_data,
    check_resume,
    find_checkpoint_to_resume,
)
from mmresizer.utils import InputError


def test_resume(tmp_path):
    path = str(tmp_path / "weights.pth")
    model = nn.Linear(2, 3)
    torch.save({"state_dict": model.state_dict(), "meta": {}}, path)
    with pytest.raises(
        InputError, match=r"no training checkpoint \(no message_hub, opt"
    ):
        check_resume(model, path)


def test_find_checkpoint_to_resume(tmp_path):
    with pytest.raises(InputError, match=r"nothing to resume.*has no checkpoint"):
        find_checkpoint_to_resume(str(tmp_path))
    (tmp_path / "last_checkpoint").write_text("elsewhere/epoch_3.pth")
    with pytest.raises(
        InputError, match=r"'elsewhere/epoch_3.pth', named in .* is gone"
    ):
        find_checkpoint_to_resume(str(tmp_path))
    # The folder was moved: the file lies beside its record.
    (tmp_path / "epoch_3.pth").touch()
    assert find_checkpoint_to_resume(str(tmp_path)) == str(tmp_path / "epoch_3.pth")


def test_data_in_wrappers(tmp_path):
    (tmp_path / "full" / "train" / "a").mkdir(parents=True)
    inner = dict(data_root=str(tmp_path / "full"), data_prefix=dict(img_path="train"))
    gone = dict(data_root=str(tmp_path / "gone"))
    cfg = Config(
        dict(
            a=dict(dataset=dict(type="RepeatDataset", dataset=inner)),
            b=dict(dataset=dict(type="ConcatDataset", datasets=[inner, gone])),
            c=dict(dataset=dict(type="Remote", data_root="s3://bucket")),
            d=None,
        )
    )
    check_data(cfg, "a", "c", "d", "absent")
    with pytest.raises(
        InputError, match=r"gone' of b does not exist.*b\.dataset\.data"
    ):
        check_data(cfg, "a", "b")
