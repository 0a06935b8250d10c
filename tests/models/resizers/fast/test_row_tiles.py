import pytest
import torch

from mmresizer.models.resizers.base_resizer import Interpolation
from mmresizer.models.resizers.fast.row_tiles import plan_tiles


@pytest.mark.parametrize("may_skip", [True, False])
@pytest.mark.parametrize("size", [(5, 8), (10, 7), (20, 12), (33, 20), (6, 4)])
@pytest.mark.parametrize(
    "kind",
    [
        ("bilinear", False),
        ("bilinear", True),
        ("bicubic", True),
        ("nearest-exact", False),
        ("area", False),
    ],
)
def test_tiles_make_the_interpolated_map(kind, size, may_skip):
    interpolation = Interpolation(size, *kind)
    m = torch.randn(2, 4, 20, 12, dtype=torch.float64)
    tiles = plan_tiles((20, 12), interpolation, 6, 1, 1, may_skip, m.dtype, m.device)
    assert len(tiles) > 1
    parts = [
        tile.interpolate(tile.select(m[:, :, tile.window]), interpolation)
        for tile in tiles
    ]
    whole = interpolation(m).permute(0, 2, 3, 1)
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    assert may_skip or sum(tile.owned for tile in tiles) == 20


def test_tiles_have_about_the_same_height():
    interpolation = Interpolation((28, 28), "bilinear", False)
    tiles = plan_tiles(
        (224, 224), interpolation, 109, 7, 1, False, torch.float32, torch.device("cpu")
    )
    assert [tile.rows.stop - tile.rows.start for tile in tiles] == [9, 9, 10]
