"""Measures a device that resizes photographs, and a server with 1 to 64 clients."""

import argparse

from mmresizer.deploy.serving_benchmark import benchmark_device, benchmark_serving
from mmresizer.utils import exit_on_input_error
from mmresizer.utils.cli import positive_int
from mmresizer.utils.files import make_folder
from mmresizer.utils.tables import make_table

# Of no interest in a table that is printed where it was measured.
_ORIGIN = ("machine", "date")


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", help="exported parts, as `serve` takes and writes them"
    )
    parser.add_argument("photos", nargs="+", help="photographs to send")
    parser.add_argument("--out", required=True, help="folder for two CSV files")
    parser.add_argument(
        "--clients", nargs="+", type=positive_int, default=[1, 4, 16, 64], metavar="N"
    )
    parser.add_argument(
        "--seconds", type=positive_int, default=10, help="for each row (default: 10)"
    )
    parser.add_argument(
        "--codec", default="webp+planes", help="of small images (default: %(default)s)"
    )
    parser.add_argument(
        "--sizes",
        nargs="+",
        type=positive_int,
        default=[56, 112, 224],
        help="of the small images of the device (default: 56 112 224)",
    )
    return parser.parse_args()


def main() -> None:
    """Measures, writes and prints."""
    args = parse_args()
    out = make_folder(args.out)
    served = benchmark_serving(
        args.folder, args.photos, args.clients, args.seconds, args.codec, out
    )
    for rows in (served, benchmark_device(args.sizes, out)):
        columns = [name for name in rows[0] if name not in _ORIGIN]
        print(
            make_table(columns, [[str(row[name]) for name in columns] for row in rows])
        )


if __name__ == "__main__":
    with exit_on_input_error():
        main()
