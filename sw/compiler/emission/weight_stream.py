"""The weight stream of a layer, in the order in which the machine consumes it (docs/machine.md)."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from hw.config import DnaConfig
from sw.compiler.choice import Links
from sw.compiler.layers import CHANNEL_PARAMETERS, Array, Convolution

Int8 = npt.NDArray[np.int8]

_TAG_MASK = 0xFFFF


@dataclasses.dataclass(frozen=True)
class WeightStream:
    """A header, with a table behind it if there is one, then one block for each channel tile.

    A block is sent for each of its pixel tiles.

    Sizes are whole wide rows of ``modules * columns`` bytes, and so whole DRAM words.
    """

    header: bytes
    blocks: list[bytes]

    @property
    def content(self) -> bytes:
        """What is kept in DRAM: everything once."""
        return self.header + b"".join(self.blocks)

    def ranges(self, pixel_tiles: int) -> list[tuple[int, int]]:
        """What to send, in order: offset and length within ``content``, neighbours joined."""
        ranges = [(0, len(self.header))]
        offset = len(self.header)
        for block in self.blocks:
            for _ in range(pixel_tiles):
                start, length = ranges[-1]
                if start + length == offset:
                    ranges[-1] = (start, length + len(block))
                else:
                    ranges.append((offset, len(block)))
            offset += len(block)
        return ranges


def tag(layer: int) -> int:
    """The tag of a layer's stream: never 0, and another one for the next layer."""
    return layer % _TAG_MASK + 1


def weight_stream(config: DnaConfig, layer: Convolution, links: Links) -> WeightStream:
    """The stream of ``layer``; neighbours that are taken as one have the same weights each."""
    split = links.split
    wide = config.modules * config.columns
    number = tag(layer.number)
    header = number.to_bytes(2, "little") + (number ^ _TAG_MASK).to_bytes(2, "little")

    group_channels = (config.modules >> split) * config.columns
    pixel_channels = layer.computed.words * config.columns
    weights = _for_each(layer.weights, pixel_channels, links.neighbours)
    channels = -(-len(weights) // group_channels) * group_channels
    arranged = _arranged(config, weights, layer.seen.words, split, channels)
    parameters = np.zeros(channels, CHANNEL_PARAMETERS)
    for name, values in (("bias", _folded_bias(layer)), ("scale", layer.multiplier)):
        repeated = _for_each(values, pixel_channels, links.neighbours)
        parameters[name][: len(repeated)] = repeated
    blocks = [
        parameters[first : first + group_channels].tobytes() + block.tobytes()
        for first, block in zip(range(0, channels, group_channels), arranged, strict=True)
    ]
    header = header.ljust(wide, b"\0")
    if layer.table is not None:
        header += layer.table.values.tobytes().ljust(wide, b"\0")
    return WeightStream(header, blocks)


def _for_each(values: Array, channels: int, neighbours: int) -> Array:
    """What each channel has [out, ...], again for each neighbour from a word of its own on."""
    padded = np.pad(values, [(0, channels - len(values)), *[(0, 0)] * (values.ndim - 1)])
    return np.concatenate([padded] * neighbours)


def _folded_bias(layer: Convolution) -> npt.NDArray[np.int32]:
    """``bias - zero_point * sum(weights)``, wrapping."""
    sums: npt.NDArray[np.int64] = layer.weights.sum(axis=(1, 2, 3), dtype=np.int64)
    folded: npt.NDArray[np.int64] = layer.bias.astype(np.int64) - layer.zero_point * sums
    return folded.astype(np.int32)


def _arranged(
    config: DnaConfig, weights: Int8, source_words: int, split: int, channels: int
) -> Int8:
    """Weights as [channel tile, pass, row, module, column], zero where there are none."""
    k, group = 1 << split, config.modules >> split
    outputs, kernel_height, kernel_width, inputs = weights.shape
    slices = kernel_height * kernel_width * source_words
    passes = -(-slices // k)
    whole = np.zeros((channels, kernel_height, kernel_width, source_words * config.rows), np.int8)
    whole[:outputs, :, :, :inputs] = weights
    padded = np.zeros((channels, passes * k, config.rows), np.int8)
    padded[:, :slices] = whole.reshape(channels, slices, config.rows)
    # Output channels are [tile, group, column], K-slices [pass, lane]; a module is (group, lane).
    nest = padded.reshape(-1, group, config.columns, passes, k, config.rows)
    return np.ascontiguousarray(nest.transpose(0, 3, 5, 1, 4, 2))
