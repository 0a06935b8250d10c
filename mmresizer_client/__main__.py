"""Classifies photographs by a server that sees small images alone."""

import argparse
from pathlib import Path

from .client import Client
from .errors import exit_on_input_error


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="mmresizer-client", description=__doc__)
    parser.add_argument("url", help="of the server, such as http://127.0.0.1:8000")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument(
        "--codec",
        default="webp+planes",
        help="how small images are written (default: %(default)s, without loss)",
    )
    parser.add_argument("--top", type=int, default=1, help="number of classes")
    return parser.parse_args()


def main() -> None:
    """Prints for each image its size, the bytes sent, and the classes."""
    with exit_on_input_error():
        args = parse_args()
        client = Client(args.url, args.codec)
        for image in args.images:
            encoded = client.encode(image)
            classes = ", ".join(
                f"{found.name} {found.score:.1%}"
                for found in client.send(encoded, args.top)
            )
            size = Path(image).stat().st_size
            print(f"{image}: {classes} ({len(encoded)} bytes sent of {size})")


if __name__ == "__main__":
    main()
