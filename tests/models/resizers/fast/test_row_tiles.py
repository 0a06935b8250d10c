import pytest
import torch

from mmresizer.models.resizers.base_resizer import Interpolation
from mmresizer.models.resizers.fast.row_tiles import TransposedColumns, plan_tiles


@pytest.mark.parametrize("may_skip", [True, False])
@pytest.mark.parametrize("size", [(5, 8), (10, 7), (20, 12), (33, 20)])
@pytest.mark.parametrize(
    "kind",
    [("bilinear", False), ("bicubic", True), ("nearest-exact", False), ("area", False)],
)
def test_tiles_make_the_interpolated_map(kind, size, may_skip):
    """And `transpose` is the adjoint: <interpolate(m), g> = <m, transpose(g)>."""
    interpolation = Interpolation(size, *kind)
    m = torch.randn(2, 4, 20, 12, dtype=torch.float64)
    g = torch.randn(2, *size, 4, dtype=torch.float64)
    transposed = TransposedColumns(interpolation)
    tiles = plan_tiles(20, interpolation, 6, 1, 1, may_skip, m.dtype, m.device)
    assert len(tiles) > 1
    parts, product = [], 0.0
    for tile in tiles:
        maps = tile.select(m[:, :, tile.window])
        parts.append(tile.interpolate(maps, interpolation))
        product += (maps * tile.transpose(g[:, tile.rows], 12, transposed)).sum()
    whole = interpolation(m).permute(0, 2, 3, 1)
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    torch.testing.assert_close(product, (whole * g).sum())
    assert may_skip or sum(tile.owned for tile in tiles) == 20
