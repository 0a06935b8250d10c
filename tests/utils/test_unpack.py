import io
import stat
import tarfile
import zipfile

import numpy as np
import pytest

from mmresizer.utils import InputError
from mmresizer.utils.unpack import unpack

FILES = {
    "set/a.bin": np.random.default_rng(0).bytes(100_000),
    "set/deep/er/b.txt": b"text\r\n",
    "./set/empty": b"",
    "set/ name with spaces and ü": b"3",
}


def make_tar(path, *members):
    """Writes a .tgz of (name, content) or of ``tarfile.TarInfo`` without content."""
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))
    return path


def make_zip(path, *members):
    """Writes a .zip of (name or ``zipfile.ZipInfo``, content)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members:
            zipped.writestr(name, content)
    return path


MAKE = {"x.tgz": make_tar, "x.zip": make_zip}


def special_tar(kind, target=""):
    info = tarfile.TarInfo("set/x")
    info.type, info.linkname = kind, target
    return info


def special_zip(mode):
    info = zipfile.ZipInfo("set/x")
    info.create_system = 3
    info.external_attr = (mode | 0o644) << 16
    return info


def assert_nothing_outside(tmp_path, archive):
    """Nothing lies beside the archive and the folder."""
    assert {path.name for path in tmp_path.iterdir()} <= {archive.name, "out"}


@pytest.mark.parametrize("name", MAKE)
def test_restores_files(tmp_path, name):
    archive = MAKE[name](tmp_path / name, *FILES.items())
    unpack(archive, tmp_path / "out")
    found = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert found == {key.removeprefix("./"): value for key, value in FILES.items()}


def test_folders_are_no_entries_of_their_own(tmp_path):
    folder = tarfile.TarInfo("set/deep")
    folder.type = tarfile.DIRTYPE
    make_tar(tmp_path / "x.tgz", folder, ("set/deep/a", b"1"))
    make_zip(tmp_path / "x.zip", ("set/deep/", b""), ("set/deep/a", b"1"))
    for name in MAKE:
        unpack(tmp_path / name, tmp_path / f"of {name}")
        assert (tmp_path / f"of {name}" / "set/deep/a").read_bytes() == b"1"


@pytest.mark.parametrize(
    "entry",
    [
        "../x",
        "set/../../x",
        "{}/x",
        "/{}/x",
        "..\\x",
        "set\\..\\..\\x",
        "\\{}\\x",
        "C:/x",
        "C:\\x",
        "C:x",
        ".",
    ],
)
@pytest.mark.parametrize("name", MAKE)
def test_refuses_names_that_lead_out(tmp_path, name, entry):
    entry = entry.format(tmp_path)
    archive = MAKE[name](tmp_path / name, ("set/a", b"1"), (entry, b"evil"))
    with pytest.raises(InputError, match=r"x\.\w+' is refused: its entry .* leads out"):
        unpack(archive, tmp_path / "out")
    assert_nothing_outside(tmp_path, archive)
    assert [p.name for p in (tmp_path / "out").rglob("*")] == ["set", "a"]


@pytest.mark.parametrize(
    "member",
    [
        special_tar(tarfile.SYMTYPE, "/etc"),
        special_tar(tarfile.SYMTYPE, "a"),
        special_tar(tarfile.LNKTYPE, "set/a"),
        special_tar(tarfile.LNKTYPE, "/etc/passwd"),
        special_tar(tarfile.CHRTYPE),
        special_tar(tarfile.BLKTYPE),
        special_tar(tarfile.FIFOTYPE),
    ],
    ids=lambda member: f"{member.type.decode()} {member.linkname}",
)
def test_refuses_links_and_devices_of_tar(tmp_path, member):
    archive = make_tar(
        tmp_path / "x.tgz", ("set/a", b"1"), member, ("set/x/passwd", b"evil")
    )
    with pytest.raises(InputError, match="its entry 'set/x' is a link or a device"):
        unpack(archive, tmp_path / "out")
    assert_nothing_outside(tmp_path, archive)
    assert not (tmp_path / "out/set/x").exists()


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_refuses_links_and_devices_of_zip(tmp_path, mode):
    archive = make_zip(
        tmp_path / "x.zip", (special_zip(mode), b"/etc"), ("set/x/passwd", b"evil")
    )
    with pytest.raises(InputError, match="its entry 'set/x' is a link or a device"):
        unpack(archive, tmp_path / "out")
    assert_nothing_outside(tmp_path, archive)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.98])
def test_truncated(tmp_path, name, share):
    archive = MAKE[name](tmp_path / name, *FILES.items())
    content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"is no complete zip or tar\.gz"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("name", MAKE)
def test_one_byte_is_wrong(tmp_path, name):
    """In the content, which does not compress and so fails the checksum alone."""
    archive = MAKE[name](tmp_path / name, *FILES.items())
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    with pytest.raises(InputError, match=r"is no complete zip or tar\.gz"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><title>404</title>"])
def test_no_archive(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}' is no complete zip or tar\.gz"):
        unpack(tmp_path / name, tmp_path / "out")


def test_zip_of_invalid_bytes(tmp_path):
    """What deflate and UTF-8 cannot mean."""
    archive = make_zip(tmp_path / "x.zip", ("ü", b"1"))
    content = archive.read_bytes()
    start = 30 + len("ü".encode())  # of the stream, after the header of the entry
    for damaged in (
        content[:start] + b"\xff" + content[start + 1 :],
        content.replace("ü".encode(), b"\xff\xff"),
    ):
        archive.write_bytes(damaged)
        with pytest.raises(InputError, match=r"is no complete zip or tar\.gz"):
            unpack(archive, tmp_path / "out")


def test_encrypted_zip(tmp_path):
    """The flag says so, in the header of the entry and in the directory."""
    archive = make_zip(tmp_path / "x.zip", ("a", b"1"))
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(InputError, match=r"is no complete zip or tar\.gz.*encrypted"):
        unpack(archive, tmp_path / "out")


def test_no_such_archive(tmp_path):
    with pytest.raises(FileNotFoundError):
        unpack(tmp_path / "x.zip", tmp_path / "out")
