"""What needs a CUDA device: mixed precision and NCCL."""

import re

import pytest
import torch

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_mixed_precision(run_tool, demo_config, tmp_path, dtype):
    """The losses of the first steps are those of float32, within the precision."""
    config = demo_config(**{"default_hooks.logger.interval": 1})
    losses = []
    for name, arguments in (("float32", []), (dtype, ["--amp", dtype])):
        status, output = run_tool(
            "train.py", config, "--work-dir", tmp_path / name, *arguments
        )
        assert status == 0, output
        losses.append(float(re.search(r"loss: ([\d.]+)", output)[1]))
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    saved = torch.load(tmp_path / dtype / "epoch_2.pth", weights_only=False)
    assert all(v.isfinite().all() for v in saved["state_dict"].values())


def test_nccl(run, demo_config, tmp_path):
    number = min(torch.cuda.device_count(), 2)
    status, output = run(
        "bash",
        "tools/dist_train.sh",
        demo_config(),
        number,
        "--work-dir",
        tmp_path / "a",
    )
    assert status == 0, output
    assert (tmp_path / "a" / "epoch_2.pth").is_file()
    status, output = run("bash", "tools/dist_train.sh", demo_config(), 65)
    assert status == 1
    assert "error: 65 processes need 65 GPUs" in output
