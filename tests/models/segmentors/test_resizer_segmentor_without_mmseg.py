"""What is said where MMSegmentation, or what a head needs, is not installed."""

import subprocess
import sys

import pytest

from conftest import ENVIRONMENT
from mmresizer.config import loading
from mmresizer.registry import MODELS
from mmresizer.utils import InputError

CONFIG = dict(
    type="mmresizer.ResizerSegmentor",
    segmentor="EncoderDecoder",
    resizer=dict(type="mmresizer.LearnedResizer", scale_factor=0.5),
)


def test_mmseg_is_missing(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("mmseg.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mmseg", None)
    expected = (
        r"^ResizerSegmentor needs MMSegmentation, which is not installed "
        r"\(.*mmseg.*\); `bash tools/setup_env.sh` installs MMSegmentation"
    )
    with pytest.raises(InputError, match=expected):
        MODELS.build(CONFIG)


def test_a_config_of_mmseg_where_it_is_missing(monkeypatch, tmp_path):
    """mmengine asks for the distribution, by the name that it once had."""
    from mmengine.config.utils import MODULE2PACKAGE

    monkeypatch.setitem(MODULE2PACKAGE, "mmseg", "mmsegmentation")
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    path = tmp_path / "config.py"
    path.write_text('_base_ = ["mmseg::_base_/models/fcn_r50-d8.py"]\n')
    with pytest.raises(InputError, match=r"mmsegmentation is not installed.*; `bash "):
        loading.load_config(str(path))


def test_nothing_imports_it_unasked():
    code = (
        "import sys, mmresizer, mmresizer.apis, mmresizer.comparison\n"
        "from mmresizer.registry import MODELS\n"
        "assert MODELS.get('mmresizer.ResizerSegmentor')\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'mmseg'])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True
    )
    assert result.stdout.splitlines()[-1] == "[]", result.stdout + result.stderr
