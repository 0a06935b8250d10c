import yaml

from conftest import ROOT
from mmresizer.hub import metafiles

COCO = ROOT / "configs/coco"


def test_metafile_is_kept_without_mmdet(tmp_path, monkeypatch):
    """The tables can be written where detectors cannot even be read."""
    folder = tmp_path / "configs/coco"
    folder.mkdir(parents=True)
    text = (COCO / "metafile.yml").read_text()
    (folder / "metafile.yml").write_text(text)
    models = yaml.safe_load(text)["Models"]
    assert {model["Metadata"]["Library"] for model in models} == {"MMDetection"}
    for model in models:
        (tmp_path / model["Config"]).touch()
    monkeypatch.setattr(metafiles, "has_mmdet", lambda: False)
    metafiles.update_metafiles(tmp_path)
    assert (folder / "metafile.yml").read_text() == text
