import csv

import pytest
from PIL import Image

from mmresizer.analysis import resizer_benchmark
from mmresizer.analysis.resizer_benchmark import TimedArm, benchmark_resizer
from mmresizer.utils import InputError


@pytest.fixture
def run_benchmark(run_tool, tmp_path):
    """Runs the benchmark of the resizer; returns (status, output, rows)."""

    def run_benchmark(*arguments):
        out = tmp_path / "out"
        status, output = run_tool(
            "analysis_tools/benchmark_resizer.py", "--out", out, *arguments
        )
        rows = []
        if (out / "results.csv").is_file():
            with (out / "results.csv").open(newline="") as f:
                rows = list(csv.DictReader(f))
        return status, output, rows

    return run_benchmark


def test_benchmark_resizer(run_benchmark, tmp_path):
    status, output, rows = run_benchmark(
        "--sizes", "32:16", "24x40:12x20", "--batch-sizes", "2", "3",
        "--arms", "ours", "interpolation", "layers+channels_last", "with_cp",
        "--dtypes", "float32", "bfloat16", "--repeats", "1",
        "--backbones", "mobilenet-v2_8xb32_in1k",
    )  # fmt: skip
    assert status == 0, output
    # 2 modes, 2 sizes, 2 batches; in float32 5 arms, in bfloat16 the 4 that were asked
    # for; a backbone alone and behind the resizer.
    assert len(rows) == 2 * 2 * 2 * (5 + 4 + 2 * 2)
    for row in rows:
        assert float(row["ms"]) > 0
        if (row["arm"], row["dtype"]) == ("layers", "float32"):
            assert float(row["speedup"]) == 1
        # A model behind the resizer takes the model's time and what is added.
        if row["arm"].startswith("ours -> "):
            same = ("mode", "input", "batch", "dtype")
            alone = next(
                r
                for r in rows
                if r["arm"] == row["arm"].removeprefix("ours -> ")
                and all(r[key] == row[key] for key in same)
            )
            total = float(alone["ms"]) * (1 + float(row["added"]))
            assert float(row["ms"]) == pytest.approx(total, rel=1e-3)
        if row["arm"] == "ours" and row["mode"] == "inference":
            bound = 1e-5 if row["dtype"] == "float32" else 0.1
            assert float(row["max_error"]) < bound
    # Multiply-accumulates of figure 3, by hand: 7x7 3->16 and 1x1 16->16 at 32 x 32;
    # three 3x3 16->16 and 7x7 16->3 at 16 x 16. Two operations each.
    macs = (49 * 3 * 16 + 16 * 16) * 32 * 32
    macs += (3 * 9 * 16 * 16 + 49 * 16 * 3) * 16 * 16
    row = next(r for r in rows if r["input"] == "32x32" and r["mode"] == "inference")
    assert float(row["gflop"]) == pytest.approx(2 * macs / 1e9, rel=1e-4)
    table = (tmp_path / "out" / "results.md").read_text()
    assert table.count("\n| ") == len(rows) + 2  # header and rule
    assert Image.open(tmp_path / "out" / "results.png").size[0] > 500


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--sizes", "448"], "argument --sizes: must be INPUT:OUTPUT such as"),
        (["--sizes", "8:0"], "such as 448:224 or 480x640:240x320, got '8:0'"),
        (["--batch-sizes", "0"], "must be a positive int, but got '0'"),
        (["--arms", "theirs"], "argument --arms: must be one of layers, ours, with_cp"),
        (["--arms", "ours+fast"], "any of +channels_last, +compiled, got 'ours+fast'"),
        (
            ["--resizer", "stride=2"],
            "--resizer has an unknown key 'stride'; accepted are in_channels",
        ),
        (["--resizer", "output_size=3"], "--resizer has an unknown key 'output_size'"),
        (["--resizer", "antialias"], "must be key=value pairs without white space"),
        (["--load", "-1"], "argument --load: must be an int of 0 or more, got '-1'"),
        (
            ["--resizer", "stem_stride=0"],
            "stem_stride must be an int of 1 or more, got 0",
        ),
        (
            ["--arms", "openvino", "--dtypes", "bfloat16"],
            "the arm 'openvino' is for inference on the CPU in float32",
        ),
        (
            ["--backbones", "resnet"],
            "error: MMPretrain has no model 'resnet'; mmpretrain.list_models()",
        ),
    ],
)
def test_benchmark_refuses_arguments(run_benchmark, arguments, sentence):
    status, output, rows = run_benchmark("--repeats", "1", *arguments)
    assert status != 0
    assert sentence in output.splitlines()[-1], output
    assert not rows


def test_benchmark_of_another_resizer(run_benchmark):
    status, output, rows = run_benchmark(
        "--sizes", "32:8", "--batch-sizes", "2", "--repeats", "1", "--load", "1",
        "--resizer", "antialias=True", "norm_cfg=None",
        "--arms", "ours", "onnxruntime",
    )  # fmt: skip
    assert status == 0, output
    assert {row["resizer"] for row in rows} == {"antialias=True norm_cfg=None"}
    arms = [row["arm"] for row in rows if row["mode"] == "inference"]
    assert arms == ["layers", "ours", "onnxruntime"]
    assert all(float(row["max_error"]) < 1e-5 for row in rows if row["max_error"])


def test_benchmark_needs_the_rival(monkeypatch):
    monkeypatch.setattr(resizer_benchmark, "find_spec", lambda name: None)
    arms = [TimedArm("openvino")]
    with pytest.raises(InputError, match="needs `pip install onnx openvino`"):
        benchmark_resizer("unused", [((8, 8), (4, 4))], [1], arms=arms)


def test_benchmark_needs_the_device(run_benchmark):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    status, output, _ = run_benchmark("--device", "cuda")
    assert status == 1
    assert "error: the device 'cuda' is not there" in output.splitlines()[-1]


FLOWERS = "configs/flowers/bilinearx4_resnet18_1xb32_flowers12_56px.py"


def test_benchmark_loading(run_tool, image_folder):
    data = f"train_dataloader.dataset.data_root={image_folder}"
    status, output = run_tool(
        "analysis_tools/benchmark_loading.py", FLOWERS, "--num-images", "10",
        "--enlarge", "300", "--cfg-options", data, "train_dataloader.batch_size=8",
    )  # fmt: skip
    assert status == 0, output
    lines = [line.split(" | ") for line in output.splitlines() if line.startswith("| ")]
    assert [line[0] for line in lines] == [
        "| step",
        "| ---",
        "| 1. LoadImageFromFile",
        "| 2. RandomResizedCrop",
        "| 3. RandomFlip",
        "| 4. PackInputs",
        "| in all",
    ]
    *steps, total = (float(line[1]) for line in lines[2:])
    assert total == pytest.approx(sum(steps), abs=0.05)
    assert "cores load as many" in output.splitlines()[-1]


def test_benchmark_loading_needs_a_batch(run_tool, image_folder):
    data = f"train_dataloader.dataset.data_root={image_folder}"
    status, output = run_tool(
        "analysis_tools/benchmark_loading.py", FLOWERS, "--num-images", "10",
        "--cfg-options", data,
    )  # fmt: skip
    assert status == 1
    assert "--num-images must be at least the batch size, 32" in output.splitlines()[-1]


def test_benchmark_loading_needs_the_data(run_tool):
    options = ["--cfg-options", "train_dataloader.dataset.data_root=nowhere"]
    status, output = run_tool("analysis_tools/benchmark_loading.py", FLOWERS, *options)
    assert status == 1
    assert "error: the folder 'nowhere'" in output.splitlines()[-1]


@pytest.mark.slow
def test_benchmark_serving(run_tool, tmp_path):
    model = "resizerx4_resnet18-cifar-w16_1xb32-8bit_fine-textures_24px"
    status, output = run_tool(
        "deploy/export.py", model, "--part", "backbone", "--out", tmp_path
    )
    assert status == 0, output
    status, output = run_tool(
        "deploy/export.py", model, "--part", "resizer", "--uint8", "--out", tmp_path
    )
    assert status == 0, output
    photos = []
    for number in range(2):
        photos.append(tmp_path / f"{number}.png")
        Image.effect_noise((96, 96), 40 + number).convert("RGB").save(photos[-1])
    status, output = run_tool(
        "deploy/benchmark_serving.py", tmp_path, *photos, "--out", tmp_path / "out",
        "--clients", "1", "3", "--seconds", "1", "--codec", "raw", "--sizes", "16",
    )  # fmt: skip
    assert status == 0, output
    with (tmp_path / "out" / "serving.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    kinds = [(row["sent"], row["clients"]) for row in rows]
    assert kinds == [(s, n) for s in ("small image", "photograph") for n in "13"]
    sizes = [path.stat().st_size for path in photos]
    assert {int(row["bytes"]) for row in rows} == {24 * 24 * 3, round(sum(sizes) / 2)}
    for row in rows:
        assert int(row["requests"]) >= int(row["clients"])
        assert 0 < float(row["p50_ms"]) <= float(row["p99_ms"])
        # As many as fit into the time, one after the other for each client.
        most = 1000 * int(row["clients"]) / float(row["p50_ms"])
        assert float(row["requests_per_s"]) < 3 * most
    with (tmp_path / "out" / "device.csv").open(newline="") as f:
        (row,) = csv.DictReader(f)
    ratio = float(row["learned_ms"]) / float(row["pillow_bicubic_ms"])
    assert float(row["ratio"]) == pytest.approx(ratio, rel=0.05)
    status, output = run_tool(
        "deploy/benchmark_serving.py", tmp_path, tmp_path / "no.png",
        "--out", tmp_path / "out", "--seconds", "1",
    )  # fmt: skip
    assert status == 1
    assert "no.png" in output.splitlines()[-1]
