"""What ResizerDetector says where MMDetection, or what it needs, is not installed."""

import sys
from types import ModuleType

import pytest

from mmresizer.registry import MODELS
from mmresizer.utils import InputError

CONFIG = dict(
    type="mmresizer.ResizerDetector",
    detector="FasterRCNN",
    resizer=dict(type="mmresizer.LearnedResizer", scale_factor=0.5),
)


def test_mmdet_is_missing(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("mmdet.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mmdet", None)
    expected = (
        r"^ResizerDetector needs MMDetection, which is not installed \(.*mmdet.*\); "
        r"`bash tools/setup_env.sh --detection` installs MMDetection"
    )
    with pytest.raises(InputError, match=expected):
        MODELS.build(CONFIG)


def test_operators_of_mmcv_are_missing(monkeypatch):
    registry = ModuleType("mmdet.registry")
    registry.MODELS = MODELS
    monkeypatch.setitem(sys.modules, "mmdet", ModuleType("mmdet"))
    monkeypatch.setitem(sys.modules, "mmdet.registry", registry)
    for name in [name for name in sys.modules if name.startswith("mmcv.ops.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mmcv.ops", None)
    expected = (
        r"^MMDetection needs mmcv's compiled operators, and this mmcv has none "
        r"\(.*mmcv\.ops.*\); `bash tools/setup_env.sh --detection` installs "
    )
    with pytest.raises(InputError, match=expected):
        MODELS.build(CONFIG)
