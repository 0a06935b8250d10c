import sys

import pytest


@pytest.mark.slow
def test_sync_bn_equals_the_doubled_batch(run, tmp_path):
    """Two processes with parts of different size; the tiled path runs on CPUs too."""
    script = tmp_path / "sync_bn.py"
    script.write_text(f"""
import sys
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmresizer.models import LearnedResizer
from mmresizer.models.resizers.fast import tiled_stem

tiled_stem._MIN_BATCH_STATS_BYTES = 0

def loss(y):
    return (y * torch.linspace(-1, 1, y[0].numel(), dtype=y.dtype).view_as(y[0])).sum()

def work(rank, x, state):
    dist.init_process_group(
        "gloo", init_method={f"file://{tmp_path}/store"!r}, rank=rank, world_size=2
    )
    resizer = LearnedResizer(8, num_blocks=0, norm_cfg=dict(type="SyncBN")).double()
    resizer.load_state_dict(state)
    resizer.fuse.eval()  # torch's own SyncBN needs CUDA
    part = x[:1] if rank == 0 else x[1:]
    loss(resizer(part)).backward()
    for p in resizer.parameters():
        dist.all_reduce(p.grad)
    if rank == 0:
        torch.save(
            ([p.grad for p in resizer.parameters()], resizer.state_dict()),
            {str(tmp_path / "parts.pth")!r},
        )
    dist.barrier()
    dist.destroy_process_group()

if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    resizer = LearnedResizer(8, num_blocks=0).double()
    resizer.init_weights()
    x = torch.randn(3, 3, 20, 20, dtype=torch.float64)
    mp.start_processes(work, (x, resizer.state_dict()), nprocs=2, start_method="fork")
    resizer.fuse.eval()
    loss(resizer(x)).backward()
    gradients, state = torch.load({str(tmp_path / "parts.pth")!r})
    for p, gradient in zip(resizer.parameters(), gradients):
        torch.testing.assert_close(gradient, p.grad, rtol=1e-9, atol=1e-9)
    for name, value in resizer.state_dict().items():
        torch.testing.assert_close(state[name], value, rtol=1e-9, atol=1e-9, msg=name)
    print("equal")
""")
    status, output = run(sys.executable, script)
    assert status == 0, output
    assert output.rstrip().endswith("equal")
