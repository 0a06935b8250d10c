import pytest
from mmengine.config import Config

from mmresizer.config.checks import check_data
from mmresizer.utils import InputError


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
