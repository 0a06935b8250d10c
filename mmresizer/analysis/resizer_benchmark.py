"""Speed and memory of the learned resizer, against its layers called one by one."""

import ctypes
import math
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from datetime import date
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from itertools import product
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.logging import MMLogger
from torch import Tensor, nn
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

from mmresizer.models import InterpolationResizer, LearnedResizer
from mmresizer.utils import InputError
from mmresizer.utils.errors import check_keys
from mmresizer.utils.machine import check_device, describe_machine
from mmresizer.utils.processes import kill_process, start_process
from mmresizer.utils.tables import make_row, make_table, show_size, write_csv

from .timing import time_in_turns

# What is measured; those of the first line are the learned resizer.
RIVALS = ("onnxruntime", "openvino")  # other libraries
RESIZERS = ("layers", "ours", "with_cp", "strided", *RIVALS)
MODULES = (*RESIZERS, "interpolation")
# What a user gets with one line more.
VARIANTS = ("channels_last", "compiled")
MODES = ("inference", "training")
DTYPES = ("float32", "bfloat16", "float16")

Size = tuple[int, int]


@dataclass(frozen=True)
class TimedArm:
    """What is measured, and how.

    Attributes:
        module (str): Of :data:`MODULES`, or a model of MMPretrain.
        channels_last (bool): Whether images and weights have that layout.
        compiled (bool): Whether ``torch.compile`` is called.
        behind (bool): Whether the module is a model behind the learned resizer.
        dtype (str): Of :data:`DTYPES`.
    """

    module: str
    channels_last: bool = False
    compiled: bool = False
    behind: bool = False
    dtype: str = "float32"

    @classmethod
    def parse(cls, text: str) -> "TimedArm":
        """Reads "MODULE", "MODULE+channels_last", "MODULE+channels_last+compiled".

        Raises:
            ValueError: If a variant is none of :data:`VARIANTS`.
        """
        module, *variants = text.split("+")
        if not set(variants) <= set(VARIANTS):
            raise ValueError(f"variants are {', '.join(VARIANTS)}, got {text!r}")
        return cls(module, "channels_last" in variants, "compiled" in variants)

    def __str__(self) -> str:
        """The arm in the results, but for its type."""
        name = f"ours -> {self.module}" if self.behind else self.module
        return "+".join([name, *(v for v in VARIANTS if getattr(self, v))])


# The plain eager module; always measured.
REFERENCE = TimedArm("layers")


@dataclass
class Measurement:
    """One row of the results. Times, FLOPs and bounds are for one image.

    Attributes:
        resizer (str): Arguments of the resizers, such as "antialias=True".
        load (int): Number of busy processes beside.
        ms (float): Median over the repeats, in milliseconds.
        speedup (float): Time of the reference over this time.
        peak_mib (float, optional): Memory of the whole batch beyond model and images.
        memory_ratio (float, optional): The same over that of the reference.
        max_error (float, optional): Largest difference from the reference's output.
        added (float, optional): Of a model behind the resizer: the time that the
            resizer adds, over that of the model alone.
        gflop (float): Operations (2 for a multiply-accumulate) of the layers.
        bound_ms (float): What this machine needs at its measured best, for these
            operations or to read the image and write the output.
    """

    date: str
    machine: str
    device: str
    threads: int
    torch: str
    mode: str
    arm: str
    dtype: str
    batch: int
    resizer: str
    load: int
    input: str
    output: str
    ms: float
    speedup: float
    peak_mib: float | None
    memory_ratio: float | None
    max_error: float | None
    added: float | None
    gflop: float | None
    bound_ms: float | None


def benchmark_resizer(
    out_dir: str,
    sizes: Sequence[tuple[Size, Size]],
    batch_sizes: Sequence[int],
    modes: Sequence[str] = MODES,
    arms: Sequence[TimedArm] = (
        TimedArm("layers"),
        TimedArm("ours"),
        TimedArm("interpolation"),
    ),
    dtypes: Sequence[str] = ("float32",),
    backbones: Sequence[TimedArm] = (),
    device: str = "cpu",
    repeats: int = 7,
    resizer: dict[str, Any] | None = None,
    load: int = 0,
) -> list[Measurement]:
    """Measures arms side by side: each repeat runs all of them, one after the other.

    Args:
        out_dir (str): Folder for ``results.csv``, ``results.md`` and ``results.png``.
        sizes (Sequence[tuple]): Pairs of input and output size, each (height, width).
        batch_sizes (Sequence[int]): Numbers of images.
        modes (Sequence[str]): Of :data:`MODES`; a training step is forward and backward
            pass.
        arms (Sequence[TimedArm]): What is measured with each of ``dtypes``. What does
            not fit the memory of a GPU is left out, with a message.
        dtypes (Sequence[str]): Of :data:`DTYPES`; in training, of autocast.
        backbones (Sequence[TimedArm]): Models of MMPretrain whose backbones are
            measured at the output size, alone and behind the learned resizer. One that
            does not take a type is left out, with a message.
        device (str): "cpu" or "cuda".
        repeats (int): Number of repeats, of which the median is taken.
        resizer (dict[str, Any], optional): Arguments of the resizers.
        load (int): Number of processes beside that keep a core busy each, with
            convolutions. Defaults to 0.

    Returns:
        list[Measurement]: The rows of ``results.csv``.

    Raises:
        InputError: If there is no such device or model, the resizer has no such
            argument, or a rival is missing.
    """
    check_device(device)
    of_size = ("output_size", "scale_factor")  # the sizes say it
    accepted = [k for k in signature(LearnedResizer).parameters if k not in of_size]
    check_keys("--resizer", resizer or {}, accepted)
    LearnedResizer(8, **(resizer or {}))  # says what else is wrong
    for rival in {arm.module for arm in arms} & set(RIVALS):
        if (device, "inference" in modes, "float32" in dtypes) != ("cpu", True, True):
            raise InputError(
                f"the arm {rival!r} is for inference on the CPU in float32"
            )
        for package in ("onnx", rival):
            if find_spec(package) is None:
                raise InputError(f"the arm {rival!r} needs `pip install onnx {rival}`")
    folder = Path(out_dir)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out must be a folder, but {out_dir!r} is a file")
    folder.mkdir(parents=True, exist_ok=True)
    MMLogger.get_current_instance().setLevel("ERROR")
    behind = [replace(arm, behind=True) for arm in backbones]
    wanted = [
        replace(arm, dtype=dtype)
        for dtype in dtypes
        for arm in (*arms, *backbones, *behind)
    ]
    wanted = list(dict.fromkeys([REFERENCE, *wanted]))
    best = {dtype: _measure_best(device, dtype) for dtype in ("float32", *dtypes)}
    rows: list[Measurement] = []
    print(make_table([*_COLUMNS.values()], []), flush=True)
    with _busy_processes(load):
        for mode, (input_size, output_size), batch in product(
            modes, sizes, batch_sizes
        ):
            case = _Case(
                mode, input_size, output_size, batch, device, resizer or {}, load
            )
            measured = case.measure(wanted, repeats, best)
            for row in measured:
                print(make_row(_cells(row)), flush=True)
            rows += measured
            # What is measured is kept, whatever happens to the next case.
            _write(rows, folder)
    return rows


@contextmanager
def _busy_processes(number: int) -> Iterator[None]:
    processes = [start_process(_convolve, log=os.devnull) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            kill_process(process)


def _convolve() -> None:
    torch.set_num_threads(1)
    x, conv = torch.rand(1, 16, 128, 128), nn.Conv2d(16, 16, 3, padding=1)
    with torch.inference_mode():
        while True:
            conv(x)


class _Case:
    """The arms for one batch."""

    def __init__(
        self,
        mode: str,
        input_size: Size,
        output_size: Size,
        batch: int,
        device: str,
        arguments: dict[str, Any],
        load: int,
    ):
        self.mode, self.device, self.batch = mode, device, batch
        self.arguments, self.load = arguments, load
        self.input_size, self.output_size = input_size, output_size
        torch.manual_seed(0)
        self.x = torch.rand(batch, 3, *input_size, device=device)
        self.runs: dict[TimedArm, Callable[[], object]] = {}
        factor = min(input_size[0] // output_size[0], input_size[1] // output_size[1])
        self.resizer = self._make_resizer()
        self.strided = self._make_resizer(stem_stride=max(1, factor))

    def _make_resizer(self, **kwargs) -> LearnedResizer:
        resizer = LearnedResizer(self.output_size, **{**self.arguments, **kwargs})
        resizer.init_weights()
        return resizer.to(self.device).train(self.mode == "training")

    def measure(
        self,
        arms: Sequence[TimedArm],
        repeats: int,
        best: dict[str, tuple[float, float]],
    ) -> list[Measurement]:
        """Measures arms."""
        for arm in arms:
            if arm.module in RIVALS and (self.mode, arm.dtype) != (
                "inference",
                "float32",
            ):
                continue
            run = self._prepare(arm)
            try:
                run()
            except RuntimeError as e:
                # Models of others may not take a type, and a GPU may be too small.
                out_of_memory = isinstance(e, torch.OutOfMemoryError)
                if arm.module in MODULES and not out_of_memory:
                    raise
                reason = str(e).partition("\n")[0]
                print(f"left out: {arm}, {arm.dtype}: {reason}", file=sys.stderr)
                continue
            self.runs[arm] = run
        times = _time(self.runs, repeats)
        peaks = {
            arm: _measure_peak(run, self.device)
            for arm, run in self.runs.items()
            if arm.module not in RIVALS  # they keep their memory from run to run
        }
        full = self._count_gflop(self.resizer)
        rows = []
        for arm, run in self.runs.items():
            gflop = error = bound = added = None
            if arm.module == "strided":
                gflop = self._count_gflop(self.strided)
            elif arm.module in RESIZERS:
                gflop = full
                if self.mode == "inference":
                    outputs = (run(), self.runs[REFERENCE]())
                    actual, expected = (torch.as_tensor(y).float() for y in outputs)
                    error = float((actual - expected).abs().max())
            if gflop is not None:
                flops, bandwidth = best[arm.dtype]
                size = torch.empty(0, dtype=getattr(torch, arm.dtype)).element_size()
                pixels = math.prod(self.input_size) + math.prod(self.output_size)
                passes = 1 if self.mode == "inference" else 2
                bytes_moved = passes * 3 * pixels * size
                bound = 1e3 * max(gflop * 1e9 / flops, bytes_moved / bandwidth)
            alone = times.get(replace(arm, behind=False))
            if arm.behind and alone is not None:
                added = times[arm] / alone - 1
            peak, reference = peaks.get(arm), peaks[REFERENCE]
            rows.append(
                Measurement(
                    date=date.today().isoformat(),
                    machine=describe_machine(self.device),
                    device=self.device,
                    threads=torch.get_num_threads(),
                    torch=torch.__version__,
                    mode=self.mode,
                    arm=str(arm),
                    dtype=arm.dtype,
                    batch=self.batch,
                    resizer=" ".join(f"{k}={v}" for k, v in self.arguments.items()),
                    load=self.load,
                    input=show_size(self.input_size),
                    output=show_size(self.output_size),
                    ms=1e3 * times[arm] / self.batch,
                    speedup=times[REFERENCE] / times[arm],
                    peak_mib=peak,
                    memory_ratio=peak / reference
                    if peak is not None and reference
                    else None,
                    max_error=error,
                    added=added,
                    gflop=gflop,
                    bound_ms=bound,
                )
            )
        return rows

    def _prepare(self, arm: TimedArm) -> Callable[[], object]:
        """Returns a function that runs an arm once."""
        x, module = self.x, self._make_module(arm)
        if arm.module in RIVALS:
            return _load_into_rival(arm.module, module, x)
        if arm.module not in MODULES and not arm.behind:
            x = torch.rand(self.batch, 3, *self.output_size, device=self.device)
        lower = getattr(torch, arm.dtype)
        if self.mode == "inference":
            x, module = x.to(lower), deepcopy(module).to(lower)
        if arm.channels_last:
            x = x.to(memory_format=torch.channels_last)
            module = deepcopy(module).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        call = module.forward_plain if arm.module == "layers" else module
        if arm.compiled:
            torch._dynamo.reset()  # or the second size would be any size
            call = torch.compile(call, dynamic=False)
        if self.mode == "inference":

            @torch.no_grad()
            def infer():
                return call(x)

            return infer
        precision: AbstractContextManager = nullcontext()
        if arm.dtype != "float32":
            precision = torch.autocast(self.device, lower)
        if not any(p.requires_grad for p in module.parameters()):
            return lambda: call(x)  # nothing to train

        def step():
            module.zero_grad()
            with precision:
                y = call(x)
            (y[-1] if isinstance(y, tuple) else y).float().square().mean().backward()

        return step

    def _make_module(self, arm: TimedArm) -> Any:
        if arm.module == "interpolation":
            return InterpolationResizer(self.output_size)
        if arm.module == "strided":
            return self.strided
        if arm.module == "with_cp":
            resizer = deepcopy(self.resizer)
            resizer.with_cp = True
            return resizer
        if arm.module in MODULES:
            return deepcopy(self.resizer)
        from mmpretrain import get_model

        try:
            model = get_model(arm.module, pretrained=False)
        except ValueError as e:
            raise InputError(
                f"MMPretrain has no model {arm.module!r}; mmpretrain.list_models() "
                "names them"
            ) from e
        # Some backbones' `train` returns nothing.
        model.train(self.mode == "training")
        backbone = model.backbone.to(self.device)
        if not arm.behind:
            return backbone
        return nn.Sequential(deepcopy(self.resizer), backbone)

    def _count_gflop(self, resizer: LearnedResizer) -> float:
        layers = deepcopy(resizer).forward_plain
        with FlopCounterMode(display=False) as counter:
            if self.mode == "training":
                layers(self.x).sum().backward()
            else:
                with torch.no_grad():
                    layers(self.x)
        return counter.get_total_flops() / self.batch / 1e9


def _time(runs: dict, repeats: int) -> dict:
    """Returns the median time of each function, in seconds."""
    timers = [
        Timer("run()", globals=dict(run=run), num_threads=torch.get_num_threads())
        for run in runs.values()
    ]
    times = zip(*time_in_turns(timers, repeats, min_seconds=0.05), strict=True)
    return dict(zip(runs, map(median, times), strict=True))


def _measure_peak(run: Callable[[], object], device: str) -> float | None:
    """Returns the memory that a run takes at its peak, in MiB; None if not known."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    if platform.system() != "Linux":
        return None

    def status(key: str) -> float:
        text = Path("/proc/self/status").read_text()
        return int(re.search(rf"^{key}:\s+(\d+)", text, re.MULTILINE)[1]) / 1024  # type: ignore[index]

    run()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # glibc keeps what was freed
        Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM to VmRSS
    except (AttributeError, OSError):
        return None
    resident = status("VmRSS")
    run()
    return status("VmHWM") - resident


def _measure_best(device: str, dtype: str) -> tuple[float, float]:
    """Returns this machine's best, in FLOP and byte per second.

    The first is that of a matrix product or a convolution, whichever library is better.
    """
    kind = getattr(torch, dtype)
    # Larger products take minutes on a CPU without bfloat16 of its own.
    size, images = (8192, 64) if device == "cuda" else (1024, 1)
    a = torch.rand(size, size, device=device).to(kind)
    x = torch.rand(images, 256, 56, 56, device=device).to(kind)
    w = torch.rand(256, 256, 3, 3, device=device).to(kind)
    x, w = (t.to(memory_format=torch.channels_last) for t in (x, w))
    b = torch.rand(2**26, device=device)

    def seconds(statement: str, **tensors: Tensor) -> float:
        values = dict(tensors, conv2d=torch.nn.functional.conv2d)
        timer = Timer(statement, globals=values, num_threads=torch.get_num_threads())
        return timer.blocked_autorange(min_run_time=0.5).median

    flops = max(
        2 * size**3 / seconds("a @ a", a=a),
        2 * images * 54 * 54 * w.numel() / seconds("conv2d(x, w)", x=x, w=w),
    )
    return flops, 2 * b.nbytes / seconds("c.copy_(b)", b=b, c=b.clone())


def _load_into_rival(
    rival: str, module: nn.Module, x: Tensor
) -> Callable[[], np.ndarray]:
    """Returns a function that runs a module in another library."""
    threads, images = torch.get_num_threads(), x.numpy()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "resizer.onnx"
        torch.onnx.export(
            module,
            (x,),
            path,
            input_names=["x"],
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        graph = path.read_bytes()
    if rival == "onnxruntime":
        onnxruntime = import_module(rival)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )
        return lambda: session.run(None, {"x": images})[0]
    core = import_module(rival).Core()
    settings = dict(
        INFERENCE_NUM_THREADS=threads,
        INFERENCE_PRECISION_HINT="f32",  # it takes bfloat16 where the CPU has it
        PERFORMANCE_HINT="LATENCY",
    )
    compiled = core.compile_model(core.read_model(graph), "CPU", settings)
    return lambda: compiled(images)[0]


_COLUMNS = {
    "mode": "mode",
    "input": "input",
    "output": "output",
    "resizer": "resizer",
    "batch": "batch",
    "arm": "arm",
    "dtype": "dtype",
    "ms": "ms an image",
    "speedup": "speed-up",
    "peak_mib": "peak memory (MiB)",
    "memory_ratio": "memory ratio",
    "max_error": "max error",
    "added": "resizer adds (%)",
    "bound_ms": "bound (ms)",
}
_FORMATS = {
    "ms": "{:.2f}",
    "speedup": "{:.2f}",
    "peak_mib": "{:.0f}",
    "memory_ratio": "{:.2f}",
    "max_error": "{:.1e}",
    "added": "{:.1%}",
    "bound_ms": "{:.2f}",
}


def _cells(row: Measurement) -> list[str]:
    values = asdict(row)
    return [
        "" if values[k] is None else _FORMATS.get(k, "{}").format(values[k])
        for k in _COLUMNS
    ]


def _write(rows: list[Measurement], folder: Path) -> None:
    """Writes the table, for programs and for people, and the plot."""
    shown = [
        {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in asdict(row).items()}
        for row in rows
    ]
    write_csv(folder / "results.csv", shown)
    first = rows[0]
    lines = [
        f"{first.machine}, {first.device}, {first.threads} threads, torch "
        f"{first.torch}, {first.date}. Speed-up and memory ratio are against the plain "
        "eager layers in float32.",
        "",
        make_table([*_COLUMNS.values()], map(_cells, rows)),
    ]
    (folder / "results.md").write_text("\n".join(lines) + "\n")
    _plot(rows).savefig(folder / "results.png", dpi=100)


def _plot(rows: list[Measurement]) -> Figure:
    """Bars of the time an image, in a panel for each mode and size."""
    panels = list(dict.fromkeys((r.mode, r.input, r.output) for r in rows))
    names = list(dict.fromkeys((r.arm, r.dtype) for r in rows))
    batches = sorted({r.batch for r in rows})
    columns = max(len([p for p in panels if p[0] == mode]) for mode, *_ in panels)
    figure = Figure(figsize=(max(8, 4 * columns), 3.5 * -(-len(panels) // columns)))
    figure.set_layout_engine("constrained")
    for i, panel in enumerate(panels):
        axes = figure.add_subplot(-(-len(panels) // columns), columns, i + 1)
        for j, name in enumerate(names):
            found = {
                r.batch: r.ms
                for r in rows
                if (r.mode, r.input, r.output) == panel and (r.arm, r.dtype) == name
            }
            places = [
                k + (j + 0.5) / len(names) * 0.8 - 0.4 for k in range(len(batches))
            ]
            heights = [found.get(batch, 0) for batch in batches]
            label = ", ".join(name) if i == 0 else None
            axes.bar(places, heights, 0.8 / len(names), color=f"C{j}", label=label)
        axes.set_xticks(range(len(batches)), [f"batch {b}" for b in batches])
        axes.set_title(f"{panel[0]}, {panel[1]} -> {panel[2]}", fontsize=10)
        axes.set_ylabel("ms an image")
    figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    return figure
