"""Checks which backbones of MMPretrain work behind the learned resizer.

The column `onnx` needs `pip install onnx onnxruntime`; the others do not.
"""

import argparse
import warnings

from mmresizer.analysis.backbone_report import check_backbones
from mmresizer.utils import exit_on_input_error


def main() -> None:
    """Checks and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "backbones",
        nargs="*",
        metavar="BACKBONE",
        help="such as ResNet; by default all that MMPretrain registers",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="CSV file for the table; Markdown lies beside it"
    )
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # what tracers and exporters say about each model
    check_backbones(args.backbones, args.out)


if __name__ == "__main__":
    with exit_on_input_error():
        main()
