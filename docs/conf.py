"""The documentation site: ``python -m sphinx -W -b html docs docs/_build/html``.

The site has the pages under docs/, the Markdown pages of the rest of the repository,
which each build writes to docs/repository/, and the API reference, which is read from
the docstrings without importing the package.
"""

import os
import re
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
MIRROR = DOCS / "repository"

project = "mmresizer"
author = copyright = "The mmresizer contributors"
version = release = re.findall(
    '__version__ = "(.+)"', (ROOT / "mmresizer" / "version.py").read_text()
)[0]
extensions = [
    "myst_parser",
    "autoapi.extension",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]

myst_heading_anchors = 3

autoapi_dirs = [str(ROOT / "mmresizer"), str(ROOT / "mmresizer_client")]
# It does not follow a name from one of the two packages into the other.
suppress_warnings = ["autoapi.python_import_resolution"]
autoapi_ignore = ["*/.mim/*"]
autoapi_root = "api"
autoapi_add_toctree_entry = False
autoapi_options = [
    "members",
    "show-inheritance",
    "show-module-summary",
    "imported-members",
]

html_theme = "furo"
html_title = "mmresizer"
html_static_path = ["_static"]
html_css_files = ["tables.css"]

# Pages of the repository that are pages of the site, too.
PATTERNS = ("*.md", "checkpoints/*.md", "comparisons/**/*.md", "configs/**/*.md")
PAGES = {page for pattern in PATTERNS for page in ROOT.glob(pattern)}
PAGES.remove(ROOT / "README.md")
# On Read the Docs its other files are where the clone is from; elsewhere they are
# downloads.
_CLONE = os.environ.get("READTHEDOCS_GIT_CLONE_URL", "").removesuffix(".git")
FILES = _CLONE and f"{_CLONE}/blob/{os.environ['READTHEDOCS_GIT_COMMIT_HASH']}"
# A block of code or a piece of it, where nothing is a link; or a link's text, target
# and anchor.
_LINK = re.compile(
    r"^```.*?^```|`[^`\n]*`|(!?\[[^\[\]]*\])\((?!\w+:|#)([^)\s#]+)(#[^)\s]+)?\)",
    re.MULTILINE | re.DOTALL,
)


def adapt_links(text: str, source: Path, page: Path) -> str:
    """Turns links that hold in the repository into links that hold on the site.

    Args:
        text (str): Markdown.
        source (Path): The file in the repository that it comes from.
        page (Path): The file below docs/ that it is for.
    """

    def adapt(match: re.Match) -> str:
        name, link, anchor = match.groups()
        if name is None:
            return match[0]
        target = Path(os.path.normpath(source.parent / link))
        path = target.relative_to(ROOT)
        if target in PAGES:
            target = MIRROR / path
        elif DOCS not in target.parents and not name.startswith("!"):
            if FILES:
                return f"{name}({FILES}/{path.as_posix()})"
            if target.is_dir():
                return name[1:-1]
        return f"{name}({os.path.relpath(target, page.parent)}{anchor or ''})"

    return _LINK.sub(adapt, text)


def write_pages(app: Sphinx) -> None:
    """Writes the pages of the rest of the repository to docs/repository/."""
    shutil.rmtree(MIRROR, ignore_errors=True)
    for source in PAGES:
        page = MIRROR / source.relative_to(ROOT)
        page.parent.mkdir(parents=True, exist_ok=True)
        text = adapt_links(source.read_text(), source, page)
        # Whether a menu has it or not.
        page.write_text(f"---\norphan: true\n---\n\n{text}")


def adapt_page(app: Sphinx, docname: str, content: list[str]) -> None:
    """Adapts the links of pages under docs/, and names tables that have no title."""
    page = DOCS / f"{docname}.md"
    if not page.is_file() or MIRROR in page.parents:
        return
    content[0] = adapt_links(content[0], page, page)
    if not content[0].startswith("#"):
        content[0] = f"---\norphan: true\n---\n\n# {page.stem}\n\n{content[0]}"


# What each package exports, by its name where it is defined.
_exports: dict[str, list[str]] = {}


def skip_exported(app: Sphinx, what: str, name: str, obj: Any, *_: Any) -> bool | None:
    """Leaves out modules whose package exports what they define.

    Packages are asked for before what they hold.
    """
    if what == "package":
        _exports[name] = [
            child.obj["original_path"]
            for child in obj.children
            if child.imported and not child.obj.get("hide")
        ]
    elif what != "module":
        return None
    exports = _exports.get(name.rpartition(".")[0], [])
    return True if any(path.startswith(f"{name}.") for path in exports) else None


def setup(app: Sphinx) -> None:
    """Connects the above."""
    app.connect("builder-inited", write_pages)
    app.connect("source-read", adapt_page)
    app.connect("autoapi-skip-member", skip_exported)
