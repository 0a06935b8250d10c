"""The steps from the server to a complete folder, on a stand-in for Imagenette."""

import errno
import re
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from mmresizer.datasets import Imagenette
from mmresizer.datasets.preparation import SOURCES, check_dataset, prepare_dataset
from mmresizer.datasets.preparation import imagenette as module
from mmresizer.utils import InputError

NAME, FOLDER = "imagenette-160", "imagenette2-160"
FILES = {
    f"{FOLDER}/{split}/{wnid}/{wnid}_{i}.JPEG": f"{split} {wnid} {i}".encode()
    for split, number in (("train", 3), ("val", 2))
    for wnid in Imagenette.WNIDS
    for i in range(number)
} | {f"{FOLDER}/noisy_imagenette.csv": b"path\n"}


@pytest.fixture(autouse=True)
def counts(monkeypatch):
    monkeypatch.setitem(module._NUM_IMAGES, Imagenette, (30, 20))


@pytest.fixture
def dest(tmp_path):
    return tmp_path / "new" / "data"


@pytest.fixture
def folder(publish, dest):
    """The dataset, prepared."""
    publish(NAME, {f"{FOLDER}.tgz": FILES})
    prepare_dataset(NAME, dest)
    return dest / FOLDER


def read_files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def visible(folder):
    """Names in a folder but those of locks."""
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


def change(monkeypatch, **changes):
    """Changes the published archive."""
    archive = replace(SOURCES[NAME].archives[0], **changes)
    monkeypatch.setitem(SOURCES, NAME, replace(SOURCES[NAME], archives=(archive,)))


def test_folder_is_complete_and_alone(publish, dest):
    publish(NAME, {f"{FOLDER}.tgz": FILES})
    report = prepare_dataset(NAME, dest)
    assert report == f"{NAME}: 30 + 20 images of 10 classes, in {str(dest / FOLDER)!r}"
    assert visible(dest) == [FOLDER]
    assert {f"{FOLDER}/{k}": v for k, v in read_files(dest / FOLDER).items()} == FILES
    assert len(Imagenette(str(dest / FOLDER), "val")) == 20


def test_archive_of_the_user_is_used_and_kept(publish, dest):
    publish(NAME, {f"{FOLDER}.tgz": FILES})
    archive = dest / f"{FOLDER}.tgz"
    archive.parent.mkdir(parents=True)
    shutil.copy(publish.folder / f"{FOLDER}.tgz", archive)
    prepare_dataset(NAME, dest)
    assert publish.requests == []
    assert visible(dest) == [FOLDER, f"{FOLDER}.tgz"]


def test_linked_classes(publish, dest, folder, tmp_path):
    """Datasets follow links to the folders of classes; so does the check."""
    wnid = folder / "train" / Imagenette.WNIDS[0]
    shutil.move(wnid, tmp_path / "elsewhere")
    wnid.symlink_to(tmp_path / "elsewhere")
    assert "30 + 20 images" in prepare_dataset(NAME, dest)


def test_second_call_downloads_nothing(publish, dest):
    publish(NAME, {f"{FOLDER}.tgz": FILES})
    report = prepare_dataset(NAME, dest)
    publish.requests.clear()
    assert prepare_dataset(NAME, dest) == report
    assert check_dataset(NAME, dest / FOLDER) == report.partition(", in ")[0]
    assert publish.requests == []


def test_calls_at_once_share_the_work(publish, dest):
    publish(NAME, {f"{FOLDER}.tgz": FILES})
    with ThreadPoolExecutor(3) as pool:
        reports = set(pool.map(lambda _: prepare_dataset(NAME, dest), range(3)))
    assert len(reports) == 1
    assert publish.requests == [f"/{FOLDER}.tgz"]


def wrong_digest(publish, monkeypatch):
    change(monkeypatch, digest=f"sha256:{'0' * 64}")


def wrong_size(publish, monkeypatch):
    change(monkeypatch, size=5)


def not_found(publish, monkeypatch):
    (publish.folder / f"{FOLDER}.tgz").unlink()


def offline(publish, monkeypatch):
    change(monkeypatch, url=f"http://127.0.0.1:9/{FOLDER}.tgz")


def broken_archive(publish, monkeypatch):
    content = (publish.folder / f"{FOLDER}.tgz").read_bytes()
    publish(NAME, {f"{FOLDER}.tgz": content[:-50]})


def evil_archive(publish, monkeypatch):
    publish(NAME, {f"{FOLDER}.tgz": {**FILES, "../evil": b""}})


def other_folder(publish, monkeypatch):
    files = {name.replace(FOLDER, "other"): content for name, content in FILES.items()}
    publish(NAME, {f"{FOLDER}.tgz": files})


def image_too_few(publish, monkeypatch):
    files = dict(list(FILES.items())[1:])
    publish(NAME, {f"{FOLDER}.tgz": files})


def disk_full(publish, monkeypatch):
    def copy(file, output, *args):
        output.write(b"a part")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile, "copyfileobj", copy)


FAULTS = {
    wrong_digest: r"is not the published file: its digest is not sha256:000",
    wrong_size: r"is not the published file: it has [\d,]+ bytes, not 5",
    not_found: r"imagenette2-160\.tgz: the server answers 404",
    offline: r"cannot download .*the server cannot be reached.*check the network",
    broken_archive: r"imagenette2-160\.tgz' is no complete zip or tar\.gz archive",
    evil_archive: r"its entry '\.\./evil' leads out of the folder",
    other_folder: r"imagenette2-160/train' does not exist",
    image_too_few: r"imagenette2-160/train' must hold 30 images, but has 29",
    disk_full: r"cannot read or write .*data' \(No space left on device\)",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_nothing_half_made_is_left(publish, dest, monkeypatch, fault):
    """After a fault there is no folder, and without it the same call succeeds."""
    publish(NAME, {f"{FOLDER}.tgz": FILES})
    with monkeypatch.context() as patch:
        fault(publish, patch)
        with pytest.raises(InputError, match=FAULTS[fault]) as e:
            prepare_dataset(NAME, dest)
    assert "\n" not in str(e.value)
    assert set(visible(dest)) <= {".downloads"}
    publish(NAME, {f"{FOLDER}.tgz": FILES})
    prepare_dataset(NAME, dest)
    assert visible(dest) == [FOLDER]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_half_made_is_left_by_a_stop(publish, dest, monkeypatch, error):
    def prepare(folder):
        assert (folder / "train").is_dir()
        raise error

    publish(NAME, {f"{FOLDER}.tgz": FILES})
    with monkeypatch.context() as patch:
        patch.setitem(SOURCES, NAME, replace(SOURCES[NAME], prepare=prepare))
        with pytest.raises(error):
            prepare_dataset(NAME, dest)
    assert visible(dest) == [".downloads"]
    publish.requests.clear()
    prepare_dataset(NAME, dest)
    assert publish.requests == []  # the archive had come already
    assert visible(dest) == [FOLDER]


def lose_class(folder):
    (folder / "train" / Imagenette.WNIDS[3]).rename(folder / "elsewhere")


def lose_split(folder):
    (folder / "val").rename(folder / "elsewhere")


def lose_image(folder):
    next((folder / "val").rglob("*.JPEG")).unlink()


def add_class(folder):
    (folder / "val" / "n99999999").mkdir()


def add_image(folder):
    (folder / "train" / Imagenette.WNIDS[0] / "another.png").touch()


def add_image_that_is_nested(folder):
    """The dataset would take it for a sample."""
    nested = folder / "train" / Imagenette.WNIDS[0] / "nested"
    nested.mkdir()
    (nested / "another.JPEG").touch()


LOSSES = {
    lose_class: r"/train' must hold exactly the 10 folders of its classes, but of "
    r"these are 1 missing \(n03000684\)",
    lose_split: r"the folder '.*/val' does not exist",
    lose_image: r"/val' must hold 20 images, but has 19",
    add_class: r"/val' must hold .*, but of these are 1 not of the dataset \(n9+\)",
    add_image: r"/train' must hold 30 images, but has 31",
    add_image_that_is_nested: r"/train' must hold 30 images, but has 31",
}


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_refuses_an_incomplete_folder(publish, dest, folder, loss):
    """It says what is wrong, and leaves the folder and the network alone."""
    loss(folder)
    before = read_files(folder)
    publish.requests.clear()
    with pytest.raises(InputError, match=LOSSES[loss] + "; complete it, or move it"):
        prepare_dataset(NAME, dest)
    with pytest.raises(InputError, match=LOSSES[loss] + "$"):
        check_dataset(NAME, folder)
    assert read_files(folder) == before
    assert publish.requests == []


@pytest.mark.parametrize(
    "stray",
    ["train/x.txt", "train/x.JPEG", "val/n01440764/Thumbs.db", "val/n01440764/.x.JPEG"],
)
def test_passes_over_stray_files(folder, stray):
    (folder / stray).touch()
    assert len(Imagenette(str(folder), "train")) == 30
    assert len(Imagenette(str(folder), "val")) == 20
    assert check_dataset(NAME, folder) == (
        f"{NAME}: 30 + 20 images of 10 classes; passed over 1 stray file(s), such as "
        f"{'/'.join(stray.split('/')[-2:])!r}"
    )


def test_imagewoof_has_other_classes(folder):
    with pytest.raises(InputError, match=r"10 missing \(n02086240, n02087394, n0208"):
        check_dataset("imagewoof-160", folder)


@pytest.mark.parametrize("name", ["imagnette", "", "PetImages"])
@pytest.mark.parametrize("function", [prepare_dataset, check_dataset])
def test_unknown_name(tmp_path, function, name):
    with pytest.raises(InputError, match=rf"no dataset {name!r}; it must be one of"):
        function(name, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dest", ["file", "file/below", "/proc/nowhere"])
def test_unwritable_destination(tmp_path, dest):
    """Root may write to any folder but to those of the kernel."""
    (tmp_path / "file").touch()
    with pytest.raises(
        InputError, match=f"cannot read or write '.*{dest}' .*be a folder"
    ):
        prepare_dataset(NAME, tmp_path / dest)


def test_missing_folder(tmp_path):
    with pytest.raises(InputError, match="nowhere' does not exist"):
        check_dataset(NAME, tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "hint"), [("imagenet", "handed out at image-net.org"), ("ava", "AVA.txt")]
)
def test_what_cannot_be_downloaded(tmp_path, name, hint):
    with pytest.raises(InputError, match=f"{name}' does not exist and .*{hint}"):
        prepare_dataset(name, tmp_path)


def test_sources_do_not_clash():
    """They share the destination, for archives and folders."""
    archives = [archive for source in SOURCES.values() for archive in source.archives]
    names = [archive.name for archive in archives]
    folders = [source.folder for source in SOURCES.values()]
    assert len({*names, *folders}) == len(names) + len(folders)
    digest = re.compile(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}")
    for archive in archives:
        assert archive.url.startswith("https://")
        assert digest.fullmatch(archive.digest)
