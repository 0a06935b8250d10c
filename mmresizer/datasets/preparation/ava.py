"""AVA: ratings and images."""

from pathlib import Path

from mmresizer.utils import InputError

from .folders import check_file

_NUM_COLUMNS = 15


def prepare(folder: Path) -> str:
    """Checks the table of ratings, and counts the images that are there.

    Raises:
        InputError: If the table is missing, empty or has a line of another layout, or
            all of its images are missing.
    """
    table = folder / "AVA.txt"
    check_file(table)
    ids = []
    for number, line in enumerate(table.read_text(errors="replace").splitlines(), 1):
        columns = line.split()
        if len(columns) != _NUM_COLUMNS or not all(c.isdecimal() for c in columns):
            raise InputError(
                f"line {number} of {str(table)!r} must hold {_NUM_COLUMNS} numbers "
                "(row, image, ten counts of votes, two tags, challenge), got "
                f"{line[:80]!r}"
            )
        ids.append(columns[1])
    if not ids:
        raise InputError(f"{str(table)!r} must hold ratings, but is empty")
    images = {path.stem for path in (folder / "images").glob("*.jpg")}
    missing = [name for name in ids if name not in images]
    if len(missing) == len(ids):
        raise InputError(
            f"{str(folder / 'images')!r} must hold the images of AVA.txt as ID.jpg, "
            "but has none of them"
        )
    return (
        f"{len(ids):,} ratings, {len(ids) - len(missing):,} of them with an image"
        + (f" (no image {missing[0]}.jpg, for one)" if missing else "")
    )
