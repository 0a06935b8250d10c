"""Speed and memory of the learned resizer, against its layers called one by one."""

import csv
import ctypes
import math
import platform
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from matplotlib.figure import Figure
from mmengine.logging import MMLogger
from torch import Tensor, nn
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

from mmresizer.models import InterpolationResizer, LearnedResizer
from mmresizer.utils import InputError
from mmresizer.utils.machine import describe_machine

ARMS = (
    "layers",
    "layers, channels_last",
    "layers, compiled",
    "ours",
    "ours, with_cp",
    "ours, strided stem",
    "interpolation",
    "onnxruntime",
)
MODES = ("inference", "training")
DTYPES = ("float32", "bfloat16", "float16")
# The plain eager module; always measured.
REFERENCE = ("layers", "float32")

Size = tuple[int, int]


@dataclass
class Measurement:
    """One row of the results. Times, FLOPs and bounds are for one image.

    Attributes:
        ms (float): Median over the repeats, in milliseconds.
        speedup (float): Time of the reference over this time.
        peak_mib (float, optional): Memory of the whole batch beyond model and images.
        memory_ratio (float, optional): The same over that of the reference.
        max_error (float, optional): Largest difference from the reference's output.
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
    input: str
    output: str
    ms: float
    speedup: float
    peak_mib: float | None
    memory_ratio: float | None
    max_error: float | None
    gflop: float | None
    bound_ms: float | None


class Layers(nn.Module):
    """A learned resizer whose layers are called one by one, as the paper draws them."""

    def __init__(self, resizer: LearnedResizer):
        super().__init__()
        self.resizer = deepcopy(resizer)
        for module in self.resizer.modules():
            if hasattr(module, "inplace"):
                module.inplace = False

    def forward(self, x: Tensor) -> Tensor:
        """Resizes a batch of images."""
        r = self.resizer
        y = z = r.interpolate(r.stem(x))
        for block in r.blocks:
            z = z + block.layer2(block.act(block.layer1(z)))
        return r.interpolate(x) + r.out(y + r.fuse(z))


def benchmark_resizer(
    out_dir: str,
    sizes: Sequence[tuple[Size, Size]],
    batch_sizes: Sequence[int],
    modes: Sequence[str] = MODES,
    arms: Sequence[str] = ("layers", "ours", "interpolation"),
    dtypes: Sequence[str] = ("float32",),
    backbones: Sequence[str] = (),
    device: str = "cpu",
    repeats: int = 7,
) -> list[Measurement]:
    """Measures arms side by side: each repeat runs all of them, one after the other.

    Args:
        out_dir (str): Folder for ``results.csv``, ``results.md`` and ``results.png``.
        sizes (Sequence[tuple]): Pairs of input and output size, each (height, width).
        batch_sizes (Sequence[int]): Numbers of images.
        modes (Sequence[str]): Of :data:`MODES`; a training step is forward and backward
            pass.
        arms (Sequence[str]): Of :data:`ARMS`.
        dtypes (Sequence[str]): Of :data:`DTYPES`; in training, of autocast.
        backbones (Sequence[str]): Models of MMPretrain whose backbones are measured at
            the output size, for scale.
        device (str): "cpu" or "cuda".
        repeats (int): Number of repeats, of which the median is taken.

    Returns:
        list[Measurement]: The rows of ``results.csv``.

    Raises:
        InputError: If there is no such device or model, or ONNX Runtime is missing.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda needs a CUDA device, and none is visible")
    if "onnxruntime" in arms:
        if (device, "inference" in modes, "float32" in dtypes) != ("cpu", True, True):
            raise InputError(
                "the arm 'onnxruntime' is for inference on the CPU in float32"
            )
        _import_onnxruntime()
    folder = Path(out_dir)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out must be a folder, but {out_dir!r} is a file")
    folder.mkdir(parents=True, exist_ok=True)
    MMLogger.get_current_instance().setLevel("ERROR")
    arms = ["layers", *(arm for arm in arms if arm != "layers")]
    names = [(arm, dtype) for dtype in ("float32", *dtypes) for arm in arms]
    names = [n for n in dict.fromkeys(names) if n[1] in dtypes or n == REFERENCE]
    names += [(backbone, dtype) for dtype in dtypes for backbone in backbones]
    best = {dtype: _measure_best(device, dtype) for dtype in ("float32", *dtypes)}
    rows: list[Measurement] = []
    for mode in modes:
        for input_size, output_size in sizes:
            for batch in batch_sizes:
                case = _Case(mode, input_size, output_size, batch, device)
                rows += case.measure(names, repeats, best)
                for row in rows[-len(case.runs) :]:
                    print(_markdown_row(row), flush=True)
                # What is measured is kept, whatever happens to the next case.
                _write(rows, folder)
    return rows


class _Case:
    """The arms for one batch."""

    def __init__(
        self, mode: str, input_size: Size, output_size: Size, batch: int, device: str
    ):
        self.mode, self.device, self.batch = mode, device, batch
        self.input_size, self.output_size = input_size, output_size
        torch.manual_seed(0)
        self.x = torch.rand(batch, 3, *input_size, device=device)
        self.runs: dict[tuple[str, str], Callable[[], object]] = {}
        factor = min(input_size[0] // output_size[0], input_size[1] // output_size[1])
        self.resizer = self._make_resizer()
        self.strided = self._make_resizer(stem_stride=max(1, factor))

    def _make_resizer(self, **kwargs) -> LearnedResizer:
        resizer = LearnedResizer(self.output_size, **kwargs)
        resizer.init_weights()
        return resizer.to(self.device).train(self.mode == "training")

    def measure(
        self,
        arms: Sequence[tuple[str, str]],
        repeats: int,
        best: dict[str, tuple[float, float]],
    ) -> list[Measurement]:
        """Measures arms, each with a type."""
        for arm, dtype in arms:
            if arm != "onnxruntime" or (self.mode, dtype) == ("inference", "float32"):
                self.runs[arm, dtype] = self._prepare(arm, dtype)
        times = _time(self.runs, repeats)
        peaks = {
            name: _measure_peak(run, self.device)
            for name, run in self.runs.items()
            if name[0] != "onnxruntime"  # it keeps its memory from run to run
        }
        full = self._count_gflop(self.resizer)
        rows = []
        for name, run in self.runs.items():
            arm, dtype = name
            gflop = error = bound = None
            if arm == "ours, strided stem":
                gflop = self._count_gflop(self.strided)
            elif arm in ARMS and arm != "interpolation":
                gflop = full
                if self.mode == "inference":
                    outputs = (run(), self.runs[REFERENCE]())
                    actual, expected = (torch.as_tensor(y).float() for y in outputs)
                    error = float((actual - expected).abs().max())
            if gflop is not None:
                flops, bandwidth = best[dtype]
                size = torch.empty(0, dtype=getattr(torch, dtype)).element_size()
                pixels = math.prod(self.input_size) + math.prod(self.output_size)
                passes = 1 if self.mode == "inference" else 2
                bytes_moved = passes * 3 * pixels * size
                bound = 1e3 * max(gflop * 1e9 / flops, bytes_moved / bandwidth)
            peak, reference = peaks.get(name), peaks[REFERENCE]
            rows.append(
                Measurement(
                    date=date.today().isoformat(),
                    machine=describe_machine(self.device),
                    device=self.device,
                    threads=torch.get_num_threads(),
                    torch=torch.__version__,
                    mode=self.mode,
                    arm=arm,
                    dtype=dtype,
                    batch=self.batch,
                    input="x".join(map(str, self.input_size)),
                    output="x".join(map(str, self.output_size)),
                    ms=1e3 * times[name] / self.batch,
                    speedup=times[REFERENCE] / times[name],
                    peak_mib=peak,
                    memory_ratio=peak / reference
                    if peak is not None and reference
                    else None,
                    max_error=error,
                    gflop=gflop,
                    bound_ms=bound,
                )
            )
        return rows

    def _prepare(self, arm: str, dtype: str) -> Callable[[], object]:
        """Returns a function that runs an arm once."""
        x, module = self.x, self._make_arm(arm)
        if arm == "onnxruntime":
            return _onnx_session(module, x)
        if arm == "layers, channels_last":
            x = x.to(memory_format=torch.channels_last)
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        elif arm not in ARMS:
            x = torch.rand(self.batch, 3, *self.output_size, device=self.device)
        if self.mode == "inference":
            lower = getattr(torch, dtype)
            x, call = x.to(lower), _maybe_compile(deepcopy(module).to(lower), arm)

            @torch.no_grad()
            def infer():
                return call(x)

            return infer
        call = _maybe_compile(module, arm)
        precision: AbstractContextManager = nullcontext()
        if dtype != "float32":
            precision = torch.autocast(self.device, getattr(torch, dtype))
        if not any(p.requires_grad for p in module.parameters()):
            return lambda: call(x)  # nothing to train

        def step():
            module.zero_grad()
            with precision:
                y = call(x)
            (y[-1] if isinstance(y, tuple) else y).float().square().mean().backward()

        return step

    def _make_arm(self, arm: str) -> nn.Module:
        if arm == "interpolation":
            return InterpolationResizer(self.output_size)
        if arm == "ours":
            return self.resizer
        if arm == "ours, strided stem":
            return self.strided
        if arm == "ours, with_cp":
            resizer = deepcopy(self.resizer)
            resizer.with_cp = True
            return resizer
        if arm in ARMS:
            return Layers(self.resizer)
        from mmpretrain import get_model

        try:
            model = get_model(arm, pretrained=False)
        except ValueError as e:
            raise InputError(
                f"MMPretrain has no model {arm!r}; mmpretrain.list_models() names them"
            ) from e
        # Some backbones' `train` returns nothing.
        model.train(self.mode == "training")
        return model.backbone.to(self.device)

    def _count_gflop(self, resizer: LearnedResizer) -> float:
        module = Layers(resizer)
        with FlopCounterMode(display=False) as counter:
            if self.mode == "training":
                module(self.x).sum().backward()
            else:
                with torch.no_grad():
                    module(self.x)
        return counter.get_total_flops() / self.batch / 1e9


def _maybe_compile(module: nn.Module, arm: str) -> Callable[[Tensor], Tensor]:
    if not arm.endswith("compiled"):
        return module
    torch._dynamo.reset()  # or it would compile for any size from the second one on
    return torch.compile(module, dynamic=False)


def _time(runs: dict, repeats: int) -> dict:
    """Returns the median time of each function, in seconds."""
    timers = {
        name: Timer("run()", globals=dict(run=run), num_threads=torch.get_num_threads())
        for name, run in runs.items()
    }
    numbers: dict = {}
    for name, timer in timers.items():
        timer.timeit(2)  # the first compiles, chooses kernels and allocates
        numbers[name] = max(1, int(0.05 / timer.timeit(1).mean))
    times: dict = {name: [] for name in runs}
    for _ in range(repeats):
        for name, timer in timers.items():
            times[name].append(timer.timeit(numbers[name]).mean)
    return {name: median(values) for name, values in times.items()}


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


def _import_onnxruntime():
    try:
        import onnx  # noqa: F401
        import onnxruntime
    except ImportError as e:
        raise InputError(
            "the arm 'onnxruntime' needs `pip install onnx onnxruntime`"
        ) from e
    return onnxruntime


def _onnx_session(module: nn.Module, x: Tensor) -> Callable[[], object]:
    onnxruntime = _import_onnxruntime()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "resizer.onnx"
        torch.onnx.export(module, (x,), path, input_names=["x"], dynamo=False)
        graph = path.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        graph, options, providers=["CPUExecutionProvider"]
    )
    images = {"x": x.numpy()}
    return lambda: session.run(None, images)[0]


_COLUMNS = {
    "mode": "mode",
    "input": "input",
    "output": "output",
    "batch": "batch",
    "arm": "arm",
    "dtype": "dtype",
    "ms": "ms an image",
    "speedup": "speed-up",
    "peak_mib": "peak memory (MiB)",
    "memory_ratio": "memory ratio",
    "max_error": "max error",
    "bound_ms": "bound (ms)",
}
_FORMATS = {
    "ms": "{:.2f}",
    "speedup": "{:.2f}",
    "peak_mib": "{:.0f}",
    "memory_ratio": "{:.2f}",
    "max_error": "{:.1e}",
    "bound_ms": "{:.2f}",
}


def _markdown_row(row: Measurement) -> str:
    values = asdict(row)
    cells = (
        "" if values[k] is None else _FORMATS.get(k, "{}").format(values[k])
        for k in _COLUMNS
    )
    return f"| {' | '.join(cells)} |"


def _write(rows: list[Measurement], folder: Path) -> None:
    """Writes the table, for programs and for people, and the plot."""
    with (folder / "results.csv").open("w", newline="") as f:
        writer = csv.DictWriter(f, [field.name for field in fields(Measurement)])
        writer.writeheader()
        for row in rows:
            writer.writerow(
                {
                    k: f"{v:.6g}" if isinstance(v, float) else v
                    for k, v in asdict(row).items()
                }
            )
    first = rows[0]
    lines = [
        f"{first.machine}, {first.device}, {first.threads} threads, torch "
        f"{first.torch}, {first.date}. Speed-up and memory ratio are against the plain "
        "eager layers in float32.",
        "",
        f"| {' | '.join(_COLUMNS.values())} |",
        f"|{' --- |' * len(_COLUMNS)}",
        *map(_markdown_row, rows),
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
