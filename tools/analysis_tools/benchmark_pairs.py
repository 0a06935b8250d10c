"""Measures the latency of learned configs against that of their baselines."""

import argparse

from mmresizer.analysis.pair_benchmark import benchmark_pairs
from mmresizer.utils import exit_on_input_error
from mmresizer.utils.cli import positive_int


def main() -> None:
    """Prints a line for each pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("configs", nargs="+", help="learned config files")
    parser.add_argument("--out", metavar="FILE", help="CSV file for the results")
    parser.add_argument("--batch-size", type=positive_int, default=8)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--repeats", type=positive_int, default=7)
    args = parser.parse_args()
    benchmark_pairs(args.configs, args.out, args.batch_size, args.device, args.repeats)


if __name__ == "__main__":
    with exit_on_input_error():
        main()
