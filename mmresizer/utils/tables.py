"""Tables as CSV, in Markdown, and in the pages that hold them."""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import InputError

_MARKS = ("<!-- table: written by tools/misc/update_model_zoo.py -->", "<!-- end -->")
_TABLE = re.compile(f"{re.escape(_MARKS[0])}.*?{re.escape(_MARKS[1])}", re.DOTALL)


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes rows, of which the first one names the columns."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def make_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Writes a table in Markdown."""
    return "\n".join(map(make_row, [header, ["---"] * len(header), *rows]))


def make_row(cells: Sequence[str]) -> str:
    """Writes a row of such a table."""
    return f"| {' | '.join(cells)} |"


def show_size(size: Sequence[int]) -> str:
    """Writes height and width as HxW, or the shape of a batch as NxCxHxW."""
    return "x".join(map(str, size))


def fill_page(page: Path, table: str) -> str:
    """Returns the text of a page with a new table between its marks.

    Raises:
        InputError: If the page lacks the marks.
    """
    text = page.read_text() if page.is_file() else ""
    if not _TABLE.search(text):
        raise InputError(f"{str(page)!r} must have {_MARKS[0]} and {_MARKS[1]}")
    before, after = _TABLE.split(text, maxsplit=1)
    return f"{before}{_MARKS[0]}\n\n{table}\n\n{_MARKS[1]}{after}"
