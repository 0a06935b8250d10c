"""``python -m mmresizer zoo``: the models of the zoo; ``serve``: a server for one."""

import argparse
from dataclasses import fields
from pathlib import Path

from mmresizer.hub import (
    ZooModel,
    download_models,
    find_model,
    list_models,
    show_metrics,
)
from mmresizer.utils import InputError, exit_on_input_error
from mmresizer.utils.cli import positive_int
from mmresizer.utils.limits import Limits


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m mmresizer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_serve(commands.add_parser("serve", help="a server, and a page, for a model"))
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


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Serves a model that is split: devices resize images and send small ones. The "
        "two parts are exported first."
    )
    parser.add_argument(
        "model",
        help="name of a model of the zoo, a config, or a folder with the two parts",
    )
    parser.add_argument("checkpoint", nargs="?", help="weights; a config needs them")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="where the parts are exported (default: work_dirs/serve/NAME)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: %(default)s")
    parser.add_argument(
        "--port", type=positive_int, default=8000, help="default: %(default)s"
    )
    parser.add_argument(
        "--open", action="store_true", help="open the page in a browser"
    )
    parser.add_argument(
        "--samples",
        nargs="+",
        default=[],
        metavar="IMAGE",
        help="pictures for the page",
    )
    for name, what in (
        ("photo_bytes", "bytes of a photograph's file"),
        ("photo_pixels", "pixels of a photograph"),
        ("seconds", "for a request's body, and for its answer"),
        ("waiting", "requests that wait"),
        ("batch_size", "images that the backbone gets at once"),
    ):
        parser.add_argument(
            f"--max-{name.replace('_', '-')}",
            type=positive_int,
            default=getattr(Limits, name),
            metavar="N",
            help=f"{what} (default: %(default)s)",
        )


def _serve(args: argparse.Namespace) -> None:
    try:
        from mmresizer.datasets.transforms.loading import read_image_size
        from mmresizer.deploy.serving import export_split, serve
    except ImportError as e:
        raise InputError(
            f"a server needs {e.name}, which is not installed: pip install -e "
            "'.[serve]'"
        ) from e
    limits = {
        field.name: getattr(args, f"max_{field.name}") for field in fields(Limits)
    }
    for sample in args.samples:
        read_image_size(sample)
    folder = Path(args.model)
    if folder.is_dir():
        if args.checkpoint:
            raise InputError(
                f"the parts in {args.model!r} have their weights, but got the "
                f"checkpoint {args.checkpoint!r}"
            )
    else:
        folder = Path(args.out or f"work_dirs/serve/{folder.stem}")
        export_split(args.model, folder, args.checkpoint)
        print(f"exported to {folder}, which serve takes, too")
    serve(
        folder,
        args.host,
        args.port,
        Limits(**limits),
        args.samples,
        args.open,
    )


def main() -> None:
    """Runs the command."""
    args = parse_args()
    if args.command == "serve":
        _serve(args)
    elif args.action == "list":
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
