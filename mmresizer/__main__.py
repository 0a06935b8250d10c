"""``python -m mmresizer zoo list|show|download``: the models of the zoo."""

import argparse

from mmresizer.hub import (
    ZooModel,
    download_models,
    find_model,
    list_models,
    show_metrics,
)
from mmresizer.utils import InputError, exit_on_input_error


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m mmresizer", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    zoo = commands.add_parser("zoo", help="the models of the zoo")
    actions = zoo.add_subparsers(dest="action", required=True, metavar="ACTION")
    action = actions.add_parser(
        "list", help="name, result (top-1 in %%, or as named), data and weights"
    )
    action.add_argument("pattern", nargs="?", default="*", help="such as 'resizer*'")
    action.add_argument(
        "--weights", action="store_true", help="only those that have weights"
    )
    action = actions.add_parser("show", help="all that is known of a model")
    action.add_argument("names", nargs="+", metavar="NAME")
    action = actions.add_parser("download", help="weights and config")
    action.add_argument("names", nargs="+", metavar="NAME")
    action.add_argument("--dest", default=".", metavar="DIR", help="by default here")
    return parser.parse_args()


def main() -> None:
    """Runs the command."""
    args = parse_args()
    if args.action == "list":
        models = [m for m in list_models(args.pattern) if m.weights or not args.weights]
        if not models:
            with_weights = " with weights" if args.weights else ""
            raise InputError(
                f"the zoo has no model{with_weights} whose name matches "
                f"{args.pattern!r}"
            )
        print(f"{'name':70} {'result':>10} {'weights':>8}  data")
        for model in models:
            print(_summarize(model))
    elif args.action == "show":
        print("\n\n".join(_describe(find_model(name)) for name in args.names))
    else:
        for path in download_models(args.names, args.dest):
            print(path)


def _summarize(model: ZooModel) -> str:
    # The first: top-1 accuracy in percent, or a correlation.
    result = show_metrics(dict(list(model.metrics.items())[:1]))
    weights = f"{model.weights.size / 1e6:.1f} MB" if model.weights else "-"
    return f"{model.name:70} {result:>10} {weights:>8}  {model.data}"


def _describe(model: ZooModel) -> str:
    lines = [
        ("name", model.name),
        ("config", model.config),
        ("data", model.data),
        ("result", show_metrics(model.metrics)),
        ("measured", model.measured or "-"),
    ]
    for what, weights in (("weights", model.weights), ("resizer", model.resizer)):
        if weights is None:
            lines.append((what, "-"))
        else:
            lines += [
                (what, weights.location),
                (f"{what}, bytes", f"{weights.size:,}"),
                (f"{what}, SHA-256", weights.sha256),
            ]
    lines.append(("licence", model.licence or "-"))
    return "\n".join(f"{key + ':':18} {value}" for key, value in lines)


if __name__ == "__main__":
    with exit_on_input_error():
        main()
