"""Lays a convolution or classifier layer out as the streams of :class:`hw.convolution_path`.

Loop order: pixel tiles, channel tiles, K-slices, pixels. K is the flattened (ky, kx, input channel)
axis of a window; a slice is R consecutive elements of it; a channel tile is C output channels; a
pixel tile is at most ``accumulation_depth`` output pixels in row-major order. Rows and columns past
the end have zero weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.config import DnaConfig
from sw.graph import Conv2D, Graph, Padding, Pair, Weighted

Int8 = npt.NDArray[np.int8]
Words = npt.NDArray[np.uint8]

CHUNK_BYTES = 1 << 26
UNUSED_SCALE = np.float32(1.0)


@dataclasses.dataclass(frozen=True)
class Layer:
    """Everything that one layer computes from, apart from the rest of the graph.

    A fully connected layer is a 1 x 1 convolution of one pixel.

    Attributes:
        name: of the operation.
        x: int8 [height, width, in], the layer's input.
        weights: int8 [out, kernel height, kernel width, in].
        bias: int32 [out].
        multiplier: float32 [out], from accumulator to output.
        stride: vertical and horizontal.
        padding: around ``x``.
        zero_points: of input and output.
        bounds: (lo, hi) of the output.
        expected: int8 [out height, out width, out].
    """

    name: str
    x: Int8
    weights: Int8
    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.float32]
    stride: Pair
    padding: Padding
    zero_points: Pair
    bounds: Pair
    expected: Int8

    @property
    def macs(self) -> int:
        """Multiply-accumulates, padding counted."""
        return int(self.expected.size * np.prod(self.weights.shape[1:]))


def layer_of(graph: Graph, operation: Weighted, x: Int8, expected: Int8) -> Layer:
    """Take one layer out of a graph; ``x`` and ``expected`` have the shapes of its tensors."""
    weights = graph.constant(operation, "weights")
    stride, padding = (1, 1), Padding()
    if isinstance(operation, Conv2D):
        stride, padding = operation.stride, operation.padding
    else:
        weights = weights[:, np.newaxis, np.newaxis, :]
        x, expected = x.reshape(1, 1, -1), expected.reshape(1, 1, -1)
    return Layer(
        name=operation.name,
        x=x,
        weights=weights,
        bias=graph.constant(operation, "bias"),
        multiplier=graph.constant(operation, "multiplier"),
        stride=stride,
        padding=padding,
        zero_points=(graph.operands(operation)[0].zero_point, graph.result(operation).zero_point),
        bounds=(operation.lo, operation.hi),
        expected=expected,
    )


@dataclasses.dataclass(frozen=True)
class Tile:
    """Where a tile's results belong: output pixels and channels, as ranges."""

    pixels: range
    channels: range


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Streams for a few tiles: what fits in ``CHUNK_BYTES``.

    Attributes:
        inputs: packed words by port.
        output_words: words that come back.
        tiles: in the order in which they come back.
    """

    inputs: dict[str, Words]
    output_words: int
    tiles: list[Tile]


class LayerStreams:
    """The streams of one layer on one configuration.

    Args:
        config: uses ``rows`` R, ``columns`` C, ``lanes`` and ``accumulation_depth``.
        layer: what to lay out.
    """

    def __init__(self, config: DnaConfig, layer: Layer) -> None:
        self._config = config
        self._layer = layer
        self._out = layer.weights.shape[0]
        self._depth = int(np.prod(layer.weights.shape[1:]))
        self._slices = -(-self._depth // config.rows)
        self.words_per_pixel = config.columns // min(config.lanes, config.columns)
        self.statics = {
            "zero_point": layer.zero_points[1],
            "lo": layer.bounds[0],
            "hi": layer.bounds[1],
        }
        self._weight_words = self._lay_out_weights()
        self._parameter_words = self._lay_out_parameters()
        self._windows = self._slide()

    def _lay_out_weights(self) -> Words:
        """uint8 [channel tiles, slices * R, C]."""
        columns, rows = self._config.columns, self._config.rows
        tiles = -(-self._out // columns)
        padded = np.zeros((tiles * columns, self._slices * rows), np.int8)
        padded[: self._out, : self._depth] = self._layer.weights.reshape(self._out, self._depth)
        words = padded.reshape(tiles, columns, -1).transpose(0, 2, 1)
        return np.ascontiguousarray(words).view(np.uint8)

    def _lay_out_parameters(self) -> Words:
        """uint8 [channel tiles, C, 8]: the bias with the input's zero point in it, the scale."""
        layer, columns = self._layer, self._config.columns
        tiles = -(-self._out // columns)
        words = np.zeros(tiles * columns, np.dtype([("bias", "<i4"), ("scale", "<f4")]))
        words["scale"] = UNUSED_SCALE
        sums = layer.weights.reshape(self._out, -1).sum(axis=1, dtype=np.int64)
        folded = layer.bias - layer.zero_points[0] * sums
        words["bias"][: self._out] = folded.astype(np.uint32).view(np.int32)  # wraps
        words["scale"][: self._out] = layer.multiplier
        return words.view(np.uint8).reshape(tiles, columns, 8)

    def _slide(self) -> npt.NDArray[Any]:
        """int8 view [out height, out width, kernel height, kernel width, in]."""
        layer, edge = self._layer, self._layer.padding
        padded = np.pad(
            layer.x,
            ((edge.top, edge.bottom), (edge.left, edge.right), (0, 0)),
            constant_values=layer.zero_points[0],
        )
        kernel = layer.weights.shape[1:3]
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(0, 1))
        return windows[:: layer.stride[0], :: layer.stride[1]].transpose(0, 1, 3, 4, 2)

    def _activation_words(self, pixels: range) -> Words:
        """uint8 [slices, pixels, R + 1]: R bytes, then first, last and final from bit 0 up."""
        rows = self._config.rows
        y, x = np.divmod(np.asarray(pixels), self._layer.expected.shape[1])
        padded = np.zeros((len(pixels), self._slices * rows), np.int8)
        padded[:, : self._depth] = self._windows[y, x].reshape(len(pixels), -1)
        words = np.zeros((self._slices, len(pixels), rows + 1), np.uint8)
        words[:, :, :rows] = padded.view(np.uint8).reshape(len(pixels), -1, rows).swapaxes(0, 1)
        words[0, :, rows] |= 1
        words[:, -1, rows] |= 2
        words[-1, :, rows] |= 4
        return words

    def tiles(self) -> list[Tile]:
        """All tiles in order."""
        height, width, channels = self._layer.expected.shape
        depth, columns = self._config.accumulation_depth, self._config.columns
        return [
            Tile(range(p, min(p + depth, height * width)), range(c, min(c + columns, channels)))
            for p in range(0, height * width, depth)
            for c in range(0, channels, columns)
        ]

    def chunks(self) -> Iterator[Chunk]:
        """The layer's tiles in runs of bounded size."""
        tiles = self.tiles()
        tile_bytes = self._slices * len(tiles[0].pixels) * (self._config.rows + 1)
        step = max(1, CHUNK_BYTES // tile_bytes)
        for start in range(0, len(tiles), step):
            yield self._chunk(tiles[start : start + step])

    def _chunk(self, tiles: list[Tile]) -> Chunk:
        activations: dict[range, Words] = {}
        for tile in tiles:
            if tile.pixels not in activations:
                activations[tile.pixels] = self._activation_words(tile.pixels)
        columns = self._config.columns
        numbers = [tile.channels.start // columns for tile in tiles]
        return Chunk(
            inputs={
                "weights": self._weight_words[numbers].reshape(-1, columns),
                "activations": np.concatenate(
                    [activations[t.pixels].reshape(-1, self._config.rows + 1) for t in tiles]
                ),
                "parameters": self._parameter_words[numbers].reshape(-1, 8),
            },
            output_words=sum(len(tile.pixels) for tile in tiles) * self.words_per_pixel,
            tiles=tiles,
        )
