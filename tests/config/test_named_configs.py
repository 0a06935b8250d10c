"""Configs by name."""

import mmengine.hub.hub
import pytest

from mmresizer.config.loading import load_named_config
from mmresizer.utils import InputError


@pytest.mark.parametrize("package", ["absent_package", "not a name", ""])
def test_a_missing_package_is_not_installed(monkeypatch, package):
    """mmengine would run pip."""
    calls = []
    monkeypatch.setattr(mmengine.hub.hub, "install_package", calls.append)
    with pytest.raises(InputError, match=f"package '{package}', which is not inst"):
        load_named_config(f"{package}::family/file.py")
    assert not calls


def test_a_missing_file_of_a_package():
    with pytest.raises(InputError, match=r"cannot read .* 'mmpretrain::a/b.py'"):
        load_named_config("mmpretrain::a/b.py")
