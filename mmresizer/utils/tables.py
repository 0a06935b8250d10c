"""Tables in Markdown, and the pages that hold them."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from .errors import InputError

_MARKS = ("<!-- table: written by tools/misc/update_model_zoo.py -->", "<!-- end -->")
_TABLE = re.compile(f"{re.escape(_MARKS[0])}.*?{re.escape(_MARKS[1])}", re.DOTALL)


def make_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Writes a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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
