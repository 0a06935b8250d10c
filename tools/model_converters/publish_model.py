"""Puts the weights of a finished training run, and its log, into the model zoo."""

import argparse
from pathlib import Path

from mmresizer.hub.pages import render_zoo_pages
from mmresizer.hub.publishing import publish_model
from mmresizer.utils import InputError, exit_on_input_error

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Writes weights, metafile and pages, and names the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="config of the zoo, configs/FAMILY/NAME.py")
    parser.add_argument(
        "checkpoint",
        help="checkpoint of the last epoch, where tools/train.py saved it",
    )
    parser.add_argument(
        "--machine",
        metavar="TEXT",
        help="where it was trained; by default the processor or GPU of this machine",
    )
    args = parser.parse_args()
    if not (ROOT / "model_zoo.md").is_file():  # a wheel holds this tool too
        raise InputError(
            f"publishing needs a clone of the repository, not {str(ROOT)!r}"
        )
    files = publish_model(args.config, args.checkpoint, ROOT, args.machine)
    for path in files.values():
        print(path.relative_to(ROOT))
    for page, text in render_zoo_pages(ROOT).items():
        page.write_text(text)


if __name__ == "__main__":
    with exit_on_input_error():
        main()
