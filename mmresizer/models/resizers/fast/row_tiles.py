"""Interpolation of a map in tiles of rows, each of which is made when it is needed."""

import math
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from ..base_resizer import Interpolation
from .deferred_norm import wide_type


class RowTile(NamedTuple):
    """Some rows of an interpolated map and what they are made from.

    The map is a convolution's output of height H; its input is padded.

    Attributes:
        rows (slice): Rows of the interpolated map.
        window (slice): Rows of the convolution's input that are read.
        groups (Tensor, optional): Indices of rows of the window: those that the first
            row of the interpolated map needs, those that the second needs, and so on.
            None to use the window as it is.
        weights (Tensor): Weights of the rows of the map in the interpolated ones, of
            shape (1, rows, rows of the map) or, with groups, (rows, 1, rows of the map
            in a group).
        columns (Tensor, optional): Weights of the columns of the map, of shape (out
            width, width), where a product with them takes less than torch's function.
        owned (int): How many of the rows of the map, from the first, no later tile has.
        is_local (bool): Whether the rows of the map, taken as a map of their own, are
            interpolated with the same weights.
    """

    rows: slice
    window: slice
    groups: Tensor | None
    weights: Tensor
    columns: Tensor | None
    owned: int
    is_local: bool

    def select(self, window: Tensor) -> Tensor:
        """Returns what the convolution gets: the window, or its groups as a batch.

        Args:
            window (Tensor): Of shape (N, C, rows of the window, W).

        Returns:
            Tensor: Of the same shape, or of shape (N * rows, C, rows of a group, W).
        """
        if self.groups is None:
            return window
        groups = window.permute(0, 2, 3, 1).index_select(1, self.groups)
        rows = self.rows.stop - self.rows.start
        return groups.unflatten(1, (rows, -1)).flatten(0, 1).permute(0, 3, 1, 2)

    def interpolate(self, maps: Tensor, interpolation: Interpolation) -> Tensor:
        """Interpolates the tile's rows of the map.

        Args:
            maps (Tensor): The convolution's output for :meth:`select`.
            interpolation (Interpolation): Of the whole map.

        Returns:
            Tensor: Of shape (N, rows, out width, C).
        """
        rows = self.rows.stop - self.rows.start
        out_width = interpolation.size[1]
        if self.is_local:
            local = interpolation._replace(size=(rows, out_width))
            return local(maps).permute(0, 2, 3, 1)
        y = maps.permute(0, 2, 3, 1)
        width, channels = y.shape[2:]
        y = self._batch_weights(len(maps)) @ y.flatten(2)
        if self.columns is not None:
            y = self.columns @ y.view(-1, width, channels)
        else:
            # Rows as images of height 1: torch takes channels_last images by rows.
            y = y.reshape(-1, 1, width, channels).permute(0, 3, 1, 2)
            y = interpolation._replace(size=(1, out_width))(y).permute(0, 2, 3, 1)
        return y.reshape(-1, rows, out_width, channels)

    def _batch_weights(self, batch: int) -> Tensor:
        if batch == len(self.weights):
            return self.weights
        return self.weights.repeat(batch // len(self.weights), 1, 1)


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is kept has to serve training too
def plan_tiles(
    size: tuple[int, int],
    interpolation: Interpolation,
    max_rows: int,
    kernel: int,
    stride: int,
    may_skip: bool,
    dtype: torch.dtype,
    device: torch.device,
) -> list[RowTile]:
    """Divides the rows of an interpolated map into tiles.

    Args:
        size (tuple[int, int]): Height and width of the map.
        interpolation (Interpolation): Of the map.
        max_rows (int): Number of rows of the map in a tile, about.
        kernel (int): Height of the kernel of the convolution that makes the map.
        stride (int): Its stride.
        may_skip (bool): Whether rows of the map that no row of the output reads may be
            left out. Columns are not: leaving them out took longer.
        dtype (torch.dtype): Of the weights.
        device (torch.device): Of the weights.
    """
    height, width = size
    out_height, out_width = interpolation.size
    matrix = _row_weights(height, interpolation, dtype)
    column_weights = None
    if interpolation.antialias and width >= 3 * out_width:
        turned = interpolation._replace(size=(out_width, out_height))
        column_weights = _row_weights(width, turned, dtype).to(device, dtype)
    is_read = matrix != 0
    # The first row that this or a later row of the output reads. A bicubic kernel right
    # on a pixel reads that one alone, while the next one begins before it.
    first = is_read.int().argmax(1).flip(0).cummin(0).values.flip(0)
    last = height - 1 - is_read.flip(1).int().argmax(1)
    span = int((last - first).max()) + 1
    # A row in a group costs more than one in a window.
    in_groups = may_skip and span * out_height < 0.75 * height
    rows = max(1, min(max_rows, max_rows * out_height // height))
    number = math.ceil(out_height / rows)
    # Of about the same height: memory that one frees fits the next.
    edges = [out_height * i // number for i in range(number + 1)]
    tiles = []
    for start, stop in pairwise(edges):
        if in_groups:
            begins = first[start:stop].clamp(max=height - span)
            begin, end = int(begins[0]), int(begins[-1]) + span
            taps = torch.arange((span - 1) * stride + kernel)
            groups = ((begins - begin)[:, None] * stride + taps).flatten().to(device)
            columns = begins[:, None] + torch.arange(span)
            weights = matrix[start:stop].gather(1, columns)[:, None]
            owned, is_local = 0, False
        else:
            begin = 0 if start == 0 else int(first[start])
            owned = (height if stop == out_height else int(first[stop])) - begin
            end = max(begin + owned, int(last[start:stop].max()) + 1)
            groups = None
            weights = matrix[None, start:stop, begin:end].clone()  # not all of it
            alone = interpolation._replace(size=(stop - start, out_width))
            part = _row_weights(end - begin, alone, dtype)
            # torch's antialiasing takes longer than the product.
            is_local = not interpolation.antialias and _is_close(part, weights[0])
        tiles.append(
            RowTile(
                slice(start, stop),
                slice(begin * stride, (end - 1) * stride + kernel),
                groups,
                weights.to(device, dtype),
                column_weights,
                owned,
                is_local,
            )
        )
    return tiles


def _is_close(a: Tensor, b: Tensor) -> bool:
    """Returns whether two matrices of weights are the same up to rounding."""
    bound = 2 * torch.finfo(a.dtype).eps
    return a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=bound)


def _row_weights(
    height: int, interpolation: Interpolation, dtype: torch.dtype
) -> Tensor:
    """Weights of the rows of a map in those of the interpolated map.

    All kinds of interpolation are linear, and go along one axis after the other: the
    images of the unit vectors are the weights, as torch computes them.

    Returns:
        Tensor: Of shape (out height, height), in float32 or float64.
    """
    vertical = interpolation._replace(size=(interpolation.size[0], height))
    return vertical(torch.eye(height, dtype=wide_type(dtype))[None, None])[0, 0]
