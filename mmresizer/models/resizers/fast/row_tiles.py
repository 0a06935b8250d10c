"""Interpolation of a map in tiles of rows, each of which is made when it is needed."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from ..base_resizer import Interpolation
from .deferred_norm import wide


class RowTile(NamedTuple):
    """Some rows of an interpolated map and what they are made from.

    The map is a convolution's output of height H; its input is padded.

    Attributes:
        rows (slice): Rows of the interpolated map.
        window (slice): Rows of the convolution's input that are read.
        groups (Tensor, optional): Indices of rows of the window: those that the first
            row of the interpolated map needs, those that the second needs, and so on.
            None to use the window as it is.
        weights (Tensor, optional): Weights of the rows of the map in the interpolated
            ones, of shape (1, rows, rows of the map) or, with groups, (rows, 1, rows of
            the map in a group). None if the height stays the same.
        owned (int): How many of the rows of the map, from the first, no later tile has.
        is_local (bool): Whether the rows of the map, taken as a map of their own, are
            interpolated with the same weights.
        pattern (Tensor, optional): Weights of each row of the interpolated map, of
            shape (f, 1), if each has f rows of the map for itself.
    """

    rows: slice
    window: slice
    groups: Tensor | None
    weights: Tensor | None
    owned: int
    is_local: bool
    pattern: Tensor | None

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
        y = _along_columns(interpolation)(_rows_as_images(y, width, channels))
        return y.permute(0, 2, 3, 1).reshape(-1, rows, out_width, channels)

    def transpose(
        self, gradient: Tensor, width: int, transposed: "TransposedColumns"
    ) -> Tensor:
        """The transposed map of :meth:`interpolate`, for the backward pass.

        Args:
            gradient (Tensor): Of shape (N, rows, out width, C).
            width (int): Width of the map.
            transposed (TransposedColumns): For the interpolation of the whole map.

        Returns:
            Tensor: Of the shape of :meth:`interpolate`'s ``maps``.
        """
        images, rows, out_width, channels = gradient.shape
        y = transposed(_rows_as_images(gradient, out_width, channels), width)
        y = y.permute(0, 2, 3, 1)
        if self.weights is None:
            y = y.reshape(images, rows, width * channels)
        elif self.pattern is not None:  # at a third of the product's time
            y = y.reshape(images, rows, 1, width * channels) * self.pattern
            y = y.flatten(1, 2)
        else:
            batch = images if self.groups is None else images * rows
            y = self._batch_weights(batch).mT @ y.reshape(batch, -1, width * channels)
        return y.unflatten(2, (width, channels)).permute(0, 3, 1, 2)

    def _batch_weights(self, batch: int) -> Tensor:
        assert self.weights is not None  # else the tile is local
        if batch == len(self.weights):
            return self.weights
        return self.weights.repeat(batch // len(self.weights), 1, 1)


def _rows_as_images(y: Tensor, width: int, channels: int) -> Tensor:
    """Rows of shape (..., width * channels) as images (rows, channels, 1, width).

    torch's interpolation of channels_last images runs over the batch in parallel.
    """
    return y.reshape(-1, 1, width, channels).permute(0, 3, 1, 2)


def _along_columns(interpolation: Interpolation) -> Interpolation:
    return interpolation._replace(size=(1, interpolation.size[1]))


class TransposedColumns:
    """The transposed map of an interpolation along the columns.

    Autograd has it, but only beside the map itself, whose value nobody needs here: it
    is computed once for each shape.
    """

    def __init__(self, interpolation: Interpolation):
        self.interpolation = _along_columns(interpolation)
        self.graphs: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(self, gradient: Tensor, width: int) -> Tensor:
        """Maps (rows, C, 1, out width) to (rows, C, 1, width)."""
        rows, channels, _, out_width = gradient.shape
        if width == out_width:
            return gradient
        if rows not in self.graphs:
            source = gradient.new_zeros(rows, 1, width, channels).permute(0, 3, 1, 2)
            source.requires_grad_()
            with torch.enable_grad():
                self.graphs[rows] = source, self.interpolation(source)
        source, target = self.graphs[rows]
        return torch.autograd.grad(target, source, gradient, retain_graph=True)[0]


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # what is kept has to serve training too
def plan_tiles(
    height: int,
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
        height (int): Height of the map.
        interpolation (Interpolation): Of the map.
        max_rows (int): Number of rows of the map in a tile, about.
        kernel (int): Height of the kernel of the convolution that makes the map.
        stride (int): Its stride.
        may_skip (bool): Whether rows of the map that no row of the output reads may be
            left out. Columns are not: leaving them out took longer.
        dtype (torch.dtype): Of the weights.
        device (torch.device): Of the weights.
    """
    out_height = interpolation.size[0]
    matrix = _row_weights(height, interpolation, dtype)
    is_read = matrix != 0
    # The first row that this or a later row of the output reads. A bicubic kernel right
    # on a pixel reads that one alone, while the next one begins before it.
    first = is_read.int().argmax(1).flip(0).cummin(0).values.flip(0)
    last = height - 1 - is_read.flip(1).int().argmax(1)
    span = int((last - first).max()) + 1
    # A row in a group costs more than one in a window.
    in_groups = may_skip and span * out_height < 0.75 * height
    rows = max(1, min(max_rows, max_rows * out_height // height))
    tiles = []
    for start in range(0, out_height, rows):
        stop = min(start + rows, out_height)
        if in_groups:
            begins = first[start:stop].clamp(max=height - span)
            begin, end = int(begins[0]), int(begins[-1]) + span
            taps = torch.arange((span - 1) * stride + kernel)
            groups = ((begins - begin)[:, None] * stride + taps).flatten().to(device)
            columns = begins[:, None] + torch.arange(span)
            weights = matrix[start:stop].gather(1, columns)[:, None]
            owned, is_local, pattern = 0, False, None
        else:
            begin = 0 if start == 0 else int(first[start])
            owned = (height if stop == out_height else int(first[stop])) - begin
            end = max(begin + owned, int(last[start:stop].max()) + 1)
            groups = None
            weights = matrix[None, start:stop, begin:end].clone()  # not all of it
            alone = interpolation._replace(size=(stop - start, interpolation.size[1]))
            part = _row_weights(end - begin, alone, dtype)
            is_local = _is_close(part, weights[0])
            pattern = weights[0, 0, : (end - begin) // (stop - start)].clone()
            repeated = torch.kron(torch.eye(stop - start, dtype=matrix.dtype), pattern)
            pattern = pattern[:, None] if _is_close(repeated, weights[0]) else None
        tiles.append(
            RowTile(
                slice(start, stop),
                slice(begin * stride, (end - 1) * stride + kernel),
                groups,
                None if height == out_height else weights.to(device, dtype),
                owned,
                is_local,
                None if pattern is None else pattern.to(device, dtype),
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
    return vertical(torch.eye(height, dtype=wide(dtype))[None, None])[0, 0]
