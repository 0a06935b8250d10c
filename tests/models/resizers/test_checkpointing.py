from copy import deepcopy

import pytest
import torch

from mmresizer.models import LearnedResizer


@pytest.mark.parametrize("method", ["forward", "forward_plain"])
def test_checkpointing_changes_nothing(method):
    """Same outputs, gradients and norm statistics, although the norms run twice."""
    torch.manual_seed(0)
    plain = LearnedResizer(12, num_blocks=2)
    saving = deepcopy(plain)
    saving.with_cp = True
    for seed in range(2):
        x = torch.rand(2, 3, 30, 20, generator=torch.Generator().manual_seed(seed))
        outputs = [getattr(resizer, method)(x) for resizer in (plain, saving)]
        for y in outputs:
            y.square().sum().backward()
        torch.testing.assert_close(*outputs, rtol=0, atol=0)
    for a, b in zip(plain.parameters(), saving.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=0, atol=0)
    for (k, a), (_, b) in zip(
        plain.named_buffers(), saving.named_buffers(), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=0, msg=k)
    assert saving.stem.norm.num_batches_tracked == 2
