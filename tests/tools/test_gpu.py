"""What needs a CUDA device: NCCL."""

import pytest
import torch

pytestmark = pytest.mark.gpu


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
