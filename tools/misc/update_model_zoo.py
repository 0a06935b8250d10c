"""Writes metafiles and model-index.yml, and the tables of configs and comparisons."""

import argparse
from pathlib import Path

from mmresizer.apis.model_zoo import render_pages, update_metafiles
from mmresizer.utils import exit_on_input_error

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Writes what has changed and names it."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    update_metafiles(ROOT)
    for path, text in render_pages(ROOT).items():
        path.write_text(text)
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    with exit_on_input_error():
        main()
