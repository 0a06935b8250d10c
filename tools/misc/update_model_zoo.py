"""Writes metafiles and model-index.yml, and the tables of configs and comparisons."""

import argparse
from pathlib import Path

from mmresizer.comparison.overview import render_comparison_pages
from mmresizer.hub.metafiles import update_metafiles
from mmresizer.hub.pages import render_zoo_pages
from mmresizer.utils import exit_on_input_error

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Writes what has changed and names it."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    update_metafiles(ROOT)
    pages = render_zoo_pages(ROOT) | render_comparison_pages(ROOT)
    for path, text in pages.items():
        path.write_text(text)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    with exit_on_input_error():
        main()
