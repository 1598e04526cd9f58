"""Random convolution layers: the instruction, the memory and weight stream, and the sums."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.config import DnaConfig
from hw.isa import Instruction, Opcode

Array = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution with all that a CONV instruction needs to know.

    Attributes:
        image: int8 values [height, width, in channels].
        weights: int8 values [kernel height, kernel width, in channels, out channels].
        stride, column_stride: a column stride of 0 is that of the rows.
        pads: top, left, bottom, right.
        zero_point: of the image.
        split: log2 k.
        neighbours: output pixels of a row that are taken as one.
        tile_pixels: of the accumulation memory that a tile uses.
        base: first feature word.
        tag: of the weight stream.
        table: whether one of noise follows the header of the stream.
        parameters: bytes [channel tiles, pixel tiles, parameter rows, row].
    """

    config: DnaConfig
    image: Array
    weights: Array
    stride: int
    column_stride: int
    pads: tuple[int, int, int, int]
    zero_point: int
    split: int
    neighbours: int
    tile_pixels: int
    base: int
    tag: int
    table: bool = False
    seed: int = 0

    @classmethod
    def random(cls, config: DnaConfig, rng: np.random.Generator, **given: Any) -> Layer:
        """A small layer; whatever is not given is random."""

        def choose(name: str, low: int, high: int) -> int:
            return int(given.pop(name) if name in given else rng.integers(low, high + 1))

        kernel_height = choose("kernel_height", 1, 3)
        kernel_width = choose("kernel_width", 1, 3)
        height = choose("height", kernel_height, 6)
        width = choose("width", kernel_width, 6)
        in_channels = choose("in_channels", 1, 3 * config.rows)
        out_channels = choose("out_channels", 1, 2 * config.modules * config.columns)
        pads = given.pop("pads", None) or (
            *rng.integers(0, kernel_height, 1),
            *rng.integers(0, kernel_width, 1),
            *rng.integers(0, kernel_height, 1),
            *rng.integers(0, kernel_width, 1),
        )
        values = {
            "stride": choose("stride", 1, 2),
            "column_stride": choose("column_stride", 0, 2),
            "split": choose("split", 0, config.modules.bit_length() - 1),
            "tile_pixels": choose("tile_pixels", 1, config.accumulation_depth),
            "zero_point": choose("zero_point", -128, 127),
            "base": choose("base", 0, config.modules - 1),
            "tag": choose("tag", 0, 0xFFFF),
            "table": given.pop("table", False),
            "seed": int(rng.integers(1 << 30)),
        }
        neighbours = given.pop("neighbours", None)
        assert not given, given
        layer = cls(
            config=config,
            image=rng.integers(-128, 128, (height, width, in_channels)),
            weights=rng.integers(
                -128, 128, (kernel_height, kernel_width, in_channels, out_channels)
            ),
            pads=tuple(int(pad) for pad in pads),
            neighbours=neighbours or 1,
            **values,
        )
        if neighbours is None and rng.random() < 0.5:
            return dataclasses.replace(layer, neighbours=int(rng.choice(layer.all_neighbours)))
        return layer

    @property
    def all_neighbours(self) -> list[int]:
        """Numbers of neighbours of which no two want different words of one bank."""

        def clash(neighbours: int) -> bool:
            for first in range(0, neighbours * self.out_words, self.group_words):
                seen = {
                    word // self.out_words
                    for word in range(first, first + self.group_words)
                    if word < neighbours * self.out_words
                }
                step = self.strides[1] * self.in_words
                starts = [n * step + lane for n in seen for lane in range(1 << self.split)]
                if len({start % self.config.modules for start in starts}) < len(starts):
                    return True
            return False

        width = self.sums.shape[1]
        return [n for n in range(1, width + 1) if width % n == 0 and not clash(n)]

    @property
    def strides(self) -> tuple[int, int]:
        """Input rows and columns from one output to the next."""
        return self.stride, self.column_stride or self.stride

    @property
    def group_words(self) -> int:
        """Output words of a channel tile."""
        return self.config.modules >> self.split

    @property
    def out_words(self) -> int:
        """Of each neighbour."""
        return -(-self.weights.shape[3] // self.config.columns)

    @property
    def in_words(self) -> int:
        return -(-self.image.shape[2] // self.config.rows)

    @property
    def pitch(self) -> int:
        """Words of an image row: the least that keeps the pitch rule."""
        pitch = self.image.shape[1] * self.in_words
        return pitch + (self.weights.shape[1] * self.in_words - pitch) % self.config.modules

    @property
    def slices(self) -> int:
        return self.weights.shape[0] * self.weights.shape[1] * self.in_words

    @property
    def passes(self) -> int:
        return -(-self.slices >> self.split)

    @cached_property
    def sums(self) -> Array:
        """int32 values [out height, out width, out channels]: a direct convolution."""
        top, left, bottom, right = self.pads
        padded = np.pad(
            self.image, ((top, bottom), (left, right), (0, 0)), constant_values=self.zero_point
        )
        rows, columns = self.weights.shape[:2]
        height = (padded.shape[0] - rows) // self.strides[0] + 1
        width = (padded.shape[1] - columns) // self.strides[1] + 1
        sums = np.zeros((height, width, self.weights.shape[3]), np.int64)
        for oy in range(height):
            for ox in range(width):
                y, x = oy * self.strides[0], ox * self.strides[1]
                window = padded[y : y + rows, x : x + columns]
                sums[oy, ox] = np.einsum("yxi,yxio->o", window, self.weights)
        return sums.astype(np.int32).astype(np.int64)

    @property
    def pixels(self) -> int:
        """Of the machine: neighbours are one."""
        return self.sums.shape[0] * self.sums.shape[1] // self.neighbours

    @property
    def channel_tiles(self) -> int:
        return -(-self.neighbours * self.out_words // self.group_words)

    def _as_one(self, values: Array) -> Array:
        """Values [..., out channels] of the neighbours [..., neighbours] as words of one pixel."""
        columns = self.config.columns
        missing = self.out_words * columns - values.shape[-1]
        whole = np.pad(values, [*[(0, 0)] * (values.ndim - 1), (0, missing)])
        whole = whole.reshape(*values.shape[:-2], -1)
        missing = self.channel_tiles * self.group_words * columns - whole.shape[-1]
        return np.pad(whole, [*[(0, 0)] * (whole.ndim - 1), (0, missing)])

    @property
    def pixel_tiles(self) -> int:
        return -(-self.pixels // self.tile_pixels)

    @property
    def words(self) -> dict[int, list[int]]:
        """Content of feature memory; channels past the end hold noise."""
        rng = np.random.default_rng(self.seed)
        height, width, channels = self.image.shape
        full = rng.integers(-128, 128, (height, width, self.in_words * self.config.rows))
        full[:, :, :channels] = self.image
        return {
            self.base + y * self.pitch + x * self.in_words + word: full[
                y, x, word * self.config.rows : (word + 1) * self.config.rows
            ].tolist()
            for y in range(height)
            for x in range(width)
            for word in range(self.in_words)
        }

    @property
    def end(self) -> int:
        """The first feature word that is free again."""
        return self.base + self.image.shape[0] * self.pitch

    @property
    def instruction(self) -> Instruction:
        height, width, _ = self.image.shape
        return Instruction(
            Opcode.CONV,
            {
                "layer": self.seed & 0xFFFF,
                "in_base": self.base,
                "in_pitch": self.pitch,
                "in_words": self.in_words,
                "in_height": height,
                "in_width": width,
                "kernel_height": self.weights.shape[0],
                "kernel_width": self.weights.shape[1],
                "stride": self.stride,
                "column_stride": self.column_stride
                if self.neighbours == 1
                else self.neighbours * self.strides[1],
                "pad_top": self.pads[0],
                "pad_left": self.pads[1],
                "out_width": self.sums.shape[1] // self.neighbours,
                "channel_tiles": self.channel_tiles,
                "pixel_tiles": self.pixel_tiles,
                "tile_pixels": self.tile_pixels,
                "last_pixels": self.pixels - (self.pixel_tiles - 1) * self.tile_pixels,
                "split": self.split,
                "slices": self.slices,
                "passes": self.passes,
                "in_zero_point": self.zero_point,
                "tag": self.tag,
                "table": int(self.table),
                "neighbours": self.neighbours if self.neighbours > 1 else 0,
                "pixel_words": self.out_words,
                "neighbour_columns": self.strides[1],
                "neighbour_words": self.strides[1] * self.in_words,
            },
        )

    @cached_property
    def parameter_rows(self) -> npt.NDArray[np.uint8]:
        """Noise [tiles, rows of a tile, bytes of a wide row]."""
        row = self.config.modules * self.config.columns
        tiles = self.channel_tiles * self.pixel_tiles
        rng = np.random.default_rng(self.seed + 1)
        return rng.integers(0, 256, (tiles, max(1, 8 >> self.split), row)).astype(np.uint8)

    @property
    def table_rows(self) -> npt.NDArray[np.uint8]:
        """Noise [rows of the table, bytes of a wide row]."""
        row = self.config.modules * self.config.columns
        rows = max(1, 256 // row) if self.table else 0
        return np.random.default_rng(self.seed + 2).integers(0, 256, (rows, row)).astype(np.uint8)

    @property
    def stream(self) -> bytes:
        """The weight stream."""
        config = self.config
        k, groups = 1 << self.split, config.modules >> self.split
        rows, columns = config.rows, config.columns
        weights = self._as_one(np.stack([self.weights] * self.neighbours, axis=-2))
        missing = self.in_words * rows - weights.shape[2]
        full = np.pad(weights, [(0, 0), (0, 0), (0, missing), (0, 0)])
        slices = np.zeros((self.passes * k, rows, full.shape[3]), np.int64)
        slices[: self.slices] = full.reshape(self.slices, rows, full.shape[3])

        row = config.modules * columns
        header = [self.tag & 255, self.tag >> 8, ~self.tag & 255, (~self.tag >> 8) & 255]
        parts = [bytes([*header, *[0] * (row - 4)])]
        parts.append(self.table_rows.tobytes())
        for tile in range(self.channel_tiles * self.pixel_tiles):
            parts.append(self.parameter_rows[tile].tobytes())
            channel = tile // self.pixel_tiles * self.group_words * columns
            for number in range(self.passes):
                for r in range(rows):
                    for module in range(config.modules):
                        group, lane = divmod(module, k)
                        assert group < groups
                        first = channel + group * columns
                        values = slices[number * k + lane, r, first : first + columns]
                        parts.append(values.astype(np.int8).tobytes())
        return b"".join(parts)

    def bank_pixels(self, bank: int) -> list[list[int]]:
        """What the accumulation bank gives."""
        if bank >= self.group_words:
            return []
        full = self._as_one(self.sums.reshape(self.pixels, self.neighbours, -1))
        columns = self.config.columns
        return [
            full[pixel, first : first + columns].tolist()
            for tile in range(self.channel_tiles)
            for first in [(tile * self.group_words + bank) * columns]
            for pixel in range(self.pixels)
        ]
