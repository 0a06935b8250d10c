import pytest
import yaml

from conftest import ROOT
from mmresizer.hub import metafiles


@pytest.mark.parametrize(
    ("family", "pattern", "library", "count"),
    [
        ("coco", "", "MMDetection", 20),
        ("cityscapes", "mask2former", "MMSegmentation", 2),
    ],
)
def test_metafile_is_kept_without_mmdet(
    family, pattern, library, count, tmp_path, monkeypatch
):
    """The tables can be written where detectors cannot even be read."""
    folder = tmp_path / "configs" / family
    folder.mkdir(parents=True)
    meta = yaml.safe_load((ROOT / "configs" / family / "metafile.yml").read_text())
    meta["Models"] = [model for model in meta["Models"] if pattern in model["Name"]]
    text = yaml.safe_dump(meta, sort_keys=False, width=100)
    (folder / "metafile.yml").write_text(text)
    models = meta["Models"]
    assert len(models) == count
    assert {model["Metadata"]["Library"] for model in models} == {library}
    for model in models:
        (tmp_path / model["Config"]).touch()
    monkeypatch.setattr(metafiles, "has_mmdet", lambda: False)
    metafiles.update_metafiles(tmp_path)
    assert (folder / "metafile.yml").read_text() == text
