"""The formats of exported programs: how to write them, and how to run them."""

import io
import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmresizer.utils import InputError
from mmresizer.utils.errors import describe_error

from .parts import Part

INPUT = "images"
OUTPUT = "output"
_AXES = ("batch", "channels", "height", "width")
# The key of the model card in the file.
CARD = "mmresizer"


class Format(NamedTuple):
    """A format.

    Attributes:
        suffix (str): Of the file.
        packages (tuple[str, ...]): What it needs beside torch.
        write (Callable): Writes a part, by an example and a model card, to a path.
        load (Callable): Returns what runs the file: a function of a tensor.
        read_card (Callable): Returns the card that is in a file.
    """

    suffix: str
    packages: tuple[str, ...]
    write: Callable[[Part, Tensor, dict, Path], None]
    load: Callable[[Path], Callable[[Tensor], Tensor]]
    read_card: Callable[[Path], dict]

    @property
    def versions(self) -> dict[str, str]:
        """Versions of what wrote the file."""
        return {name: metadata.version(name) for name in ("torch", *self.packages)}

    def check_packages(self) -> None:
        """Checks that the packages are installed.

        Raises:
            InputError: If one is missing.
        """
        for name in self.packages:
            try:
                metadata.version(name)
            except metadata.PackageNotFoundError as e:
                needed = " ".join(self.packages)
                raise InputError(
                    f"the format needs {name}, which is not installed: pip install "
                    f"{needed}"
                ) from e


def _write_onnx(part: Part, images: Tensor, card: dict, path: Path) -> None:
    with quiet():
        program = torch.onnx.export(
            part.module,
            (images,),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({axis: _AXES[axis] for axis in part.dynamic},),
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # with dynamo=True
    save_onnx(program.model_proto, path, card)


def save_onnx(proto: Any, path: Path, card: dict) -> None:
    """Writes a model of ONNX with a card in it."""
    import onnx

    onnx.helper.set_model_props(proto, {CARD: json.dumps(card)})
    onnx.save(proto, path)


def _load_onnx(path: Path) -> Callable[[Tensor], Tensor]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    return lambda x: torch.from_numpy(session.run(None, {INPUT: x.numpy()})[0])


def _read_onnx_card(path: Path) -> dict:
    import onnx

    props = onnx.load(path, load_external_data=False).metadata_props
    return json.loads({prop.key: prop.value for prop in props}[CARD])


def _write_program(part: Part, images: Tensor, card: dict, path: Path) -> None:
    with quiet():
        axes = dict.fromkeys(part.dynamic, torch.export.Dim.DYNAMIC)
        program = torch.export.export(part.module, (images,), dynamic_shapes=(axes,))
        torch.export.save(program, path, extra_files={CARD: json.dumps(card)})


def _load_program(path: Path) -> Callable[[Tensor], Tensor]:
    with quiet():
        return torch.export.load(path).module()


def _read_program_card(path: Path) -> dict:
    files = {CARD: ""}
    with quiet():
        torch.export.load(path, extra_files=files)
    return json.loads(files[CARD])


def _write_script(part: Part, images: Tensor, card: dict, path: Path) -> None:
    with quiet():
        traced = torch.jit.trace(part.module, images, check_trace=False)
        traced.save(str(path), _extra_files={CARD: json.dumps(card)})


def _load_script(path: Path) -> Callable[[Tensor], Tensor]:
    return torch.jit.load(path)


def _read_script_card(path: Path) -> dict:
    files = {CARD: ""}
    torch.jit.load(path, _extra_files=files)
    return json.loads(files[CARD])


def _write_openvino(part: Part, images: Tensor, card: dict, path: Path) -> None:
    import openvino

    with quiet():
        # OpenVINO interpolates without antialias what it reads from ONNX.
        traced = torch.jit.trace(part.module, images, check_trace=False)
        model = openvino.convert_model(traced, example_input=images)
    model.input(0).get_tensor().set_names({INPUT})
    model.output(0).get_tensor().set_names({OUTPUT})
    model.set_rt_info(json.dumps(card), [CARD])
    openvino.save_model(model, path, compress_to_fp16=False)


def _load_openvino(path: Path) -> Callable[[Tensor], Tensor]:
    import openvino

    # Some processors would compute in bfloat16.
    model = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda x: torch.from_numpy(model(x.numpy())[0])


def _read_openvino_card(path: Path) -> dict:
    import openvino

    return json.loads(openvino.Core().read_model(path).get_rt_info([CARD]).value)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps back what exporters say about their own code."""
    with (
        warnings.catch_warnings(),
        redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


FORMATS = {
    "onnx": Format(
        ".onnx",
        ("onnx", "onnxscript", "onnxruntime"),
        _write_onnx,
        _load_onnx,
        _read_onnx_card,
    ),
    "torch-export": Format(
        ".pt2", (), _write_program, _load_program, _read_program_card
    ),
    "torchscript": Format(
        ".torchscript", (), _write_script, _load_script, _read_script_card
    ),
    # The weights are in a file of their own, `.bin`.
    "openvino": Format(
        ".xml",
        ("openvino",),
        _write_openvino,
        _load_openvino,
        _read_openvino_card,
    ),
}


def read_card(file: str | os.PathLike) -> dict:
    """Returns the model card that is in an exported file.

    Raises:
        InputError: If the file is missing, or is none of ours.
    """
    for kind in FORMATS.values():
        if str(file).endswith(kind.suffix):
            if not Path(file).is_file():
                raise InputError(f"the file {str(file)!r} does not exist")
            try:
                return kind.read_card(Path(file))
            except Exception as e:  # loaders raise anything
                raise InputError(
                    f"{str(file)!r} has no model card ({describe_error(e):.200})"
                ) from e
    suffixes = ", ".join(kind.suffix for kind in FORMATS.values())
    raise InputError(f"the name of a file must end in {suffixes}, got {str(file)!r}")
