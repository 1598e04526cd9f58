"""What each instruction does, in plain numpy: one method an opcode.

Written from ``hw/isa/`` and docs/machine.md, to be compared with them; arithmetic is that of
``sim.reference``. The order of instructions is the business of ``sim.interpreter.program``.
"""

from __future__ import annotations

import dataclasses
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.config import DnaConfig
from hw.isa import Instruction, Opcode
from hw.isa.accesses import stream_bytes
from hw.microarchitecture import TABLE_BYTES
from sim import reference
from sim.interpreter import depthwise, post
from sim.interpreter.convolution import Nest
from sim.interpreter.errors import ProgramError

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Int8 = npt.NDArray[np.int8]
Int64 = npt.NDArray[np.int64]

_TAG_MASK = 0xFFFF
_COUNTS = frozenset(
    [
        "rows",
        "windows",
        "window_bytes",
        "window_step",
        "window_words",
        "row_bytes",
        "row_words",
        "length",
        "in_words",
        "in_step",
        "out_step",
        "in_height",
        "in_width",
        "kernel_height",
        "kernel_width",
        "stride",
        "out_width",
        "out_height",
        "out_words",
        "channel_tiles",
        "pixel_tiles",
        "tile_pixels",
        "last_pixels",
        "slices",
        "passes",
    ]
)
"""Fields that must not be 0."""


@dataclasses.dataclass(frozen=True)
class _Tile:
    """A finished tile of the accumulation memory: int32 [pixels, channels], scales [channels]."""

    accumulators: Array
    scales: Array


class Semantics:
    """The memories of a machine and what instructions do to them.

    Args:
        config: of the machine.
        dram: uint8, the memory window; instructions change it.

    Attributes:
        feature: int8 [feature_words, rows], the feature memory.
        written: addresses [n] and content [n, rows] of the words that the last instruction wrote to
            it, in parts.
    """

    def __init__(self, config: DnaConfig, dram: Bytes) -> None:
        self.config = config
        self.dram = dram
        self.feature: Int8 = np.zeros((config.feature_words, config.rows), np.int8)
        self.written: list[tuple[Int64, Int8]] = []
        self._methods: dict[Opcode, Callable[[Instruction], None]] = {
            Opcode.LOAD: self._load,
            Opcode.WEIGHTS: self._weights,
            Opcode.CONV: self._convolution,
            Opcode.POST: self._post,
            Opcode.MAX_POOL: self._max_pool,
            Opcode.MEAN: self._mean,
            Opcode.STORE: self._store,
            Opcode.DEPTHWISE: self._depthwise,
        }
        self.reset()

    def reset(self) -> None:
        """Forget weights and tiles that are under way; memories stay."""
        self._weight_bytes: deque[Bytes] = deque()
        self._weights_ahead = 0
        self._tiles: deque[_Tile] = deque()
        self._tables: deque[Int8] = deque()
        self._conv_reads: deque[tuple[Instruction, Array]] = deque()

    def execute(self, op: Instruction) -> None:
        """Do what an instruction says.

        Raises:
            ProgramError: the machine would refuse it.
        """
        self.written.clear()
        for name in op.fields:
            if name in _COUNTS and op[name] == 0:
                raise ProgramError(f"{name} is 0")
        self._methods[op.opcode](op)

    def check_empty(self) -> None:
        """Check that nothing is under way.

        Raises:
            ProgramError: weights or tiles are left.
        """
        if self._weights_ahead:
            raise ProgramError(f"{self._weights_ahead} bytes of weights are left")
        if self._tiles:
            raise ProgramError(f"{len(self._tiles)} tiles are left in the accumulation memory")

    # Memories.

    def _dram_part(self, start: int, length: int) -> Bytes:
        if start < 0 or start + length > len(self.dram):
            raise ProgramError(f"bytes {start} to {start + length} are outside the memory window")
        return self.dram[start : start + length]

    def _check_words(self, addresses: Array) -> Array:
        if addresses.size and not (
            addresses.min() >= 0 and addresses.max() < self.config.feature_words
        ):
            raise ProgramError(
                f"feature words {addresses.min()} to {addresses.max()} are not all in memory"
            )
        return addresses

    def _write(self, addresses: Array, values: Array) -> None:
        """Write words, ``addresses`` [...], ``values`` as many bytes, to the feature memory."""
        content = values.reshape(*addresses.shape, self.config.rows)
        self.feature[addresses] = content
        self.written.append((addresses.reshape(-1), content.reshape(addresses.size, -1)))

    # Instructions.

    def _load(self, op: Instruction) -> None:
        word_bytes = op["window_words"] * self.config.rows
        if op["window_bytes"] > word_bytes:
            raise ProgramError(
                f"a window of {op['window_bytes']} bytes does not fit {op['window_words']} words"
            )
        windows, rows = op["windows"], op["rows"]
        offsets = (
            np.arange(windows)[:, None] * op["window_step"]
            - op["window_lead"]
            + np.arange(op["window_bytes"])
        )
        inside = (offsets >= 0) & (offsets < op["row_bytes"])
        addresses = (
            op["out_base"]
            + np.arange(rows)[:, None] * op["out_pitch"]
            + np.arange(windows * op["window_words"])
        )
        self._check_words(addresses)
        for row in range(rows):
            source = self._dram_part(op["dram"] + row * op["dram_pitch"], op["row_bytes"])
            filled = np.full((windows, word_bytes), op["fill"], np.int8)
            part = filled[:, : op["window_bytes"]]
            part[inside] = source.view(np.int8)[offsets[inside]]
            self._write(addresses[row], filled)

    def _weights(self, op: Instruction) -> None:
        word = self.config.dram_bytes_per_cycle
        if op["dram"] % word:
            raise ProgramError(f"weights at {op['dram']:#x} are not aligned to a DRAM word")
        content = self._dram_part(op["dram"], op["length"] * word)
        self._weight_bytes.append(content.copy())
        self._weights_ahead += len(content)

    def _take_weights(self, length: int) -> Bytes:
        """The next bytes of the weight stream."""
        parts = []
        self._weights_ahead -= length
        while length:
            part = self._weight_bytes.popleft()
            parts.append(part[:length])
            if len(part) > length:
                self._weight_bytes.appendleft(part[length:])
            length -= len(parts[-1])
        return np.concatenate(parts)

    def stream_length(self, op: Instruction) -> int:
        """Bytes of the weight stream that a CONV takes."""
        return stream_bytes(op, self.config)

    def conv_ready(self, op: Instruction) -> bool:
        """Whether all weights of a CONV are here."""
        return self._weights_ahead >= self.stream_length(op)

    def _tile_pixels(self, op: Instruction) -> list[slice]:
        if op["tile_pixels"] > self.config.accumulation_depth:
            raise ProgramError(f"a tile of {op['tile_pixels']} pixels does not fit")
        if not 0 < op["last_pixels"] <= op["tile_pixels"]:
            raise ProgramError(f"a last tile of {op['last_pixels']} pixels is impossible")
        starts = [tile * op["tile_pixels"] for tile in range(op["pixel_tiles"])]
        ends = [*starts[1:], starts[-1] + op["last_pixels"]]
        return [slice(start, end) for start, end in zip(starts, ends, strict=True)]

    def _window(
        self, op: Instruction, pixels: Array, column_stride: int, step: int, neighbour: int = 0
    ) -> tuple[Array, Array]:
        """Addresses [pixels, taps] of the windows' first words, and which are inside the input."""
        taps_y, taps_x = np.divmod(
            np.arange(op["kernel_height"] * op["kernel_width"]), op["kernel_width"]
        )
        rows, columns = np.divmod(pixels, op["out_width"])
        y = rows[:, None] * op["stride"] - op["pad_top"] + taps_y
        x = columns[:, None] * column_stride - op["pad_left"] + taps_x
        addresses = op["in_base"] + y * op["in_pitch"] + x * step
        if neighbour:
            x += neighbour * op["neighbour_columns"]
            addresses += neighbour * op["neighbour_words"]
        inside = (y >= 0) & (y < op["in_height"]) & (x >= 0) & (x < op["in_width"])
        return addresses, inside

    def _seen(self, op: Instruction, nest: Nest, pixels: Array, touched: Array) -> Array:
        """What is under the windows, float64 [neighbour and none, pixels, rows of all passes].

        Marks in ``touched`` [feature words] what it reads.
        """
        # Lanes without a slice give padding too. float64 is exact, as in the reference.
        neighbours = int(nest.neighbours.max()) + 1
        shape = (neighbours + 1, len(pixels), op["passes"] * nest.lanes, self.config.rows)
        matrix = np.full(shape, op["in_zero_point"], np.float64)
        for neighbour in range(neighbours):
            stride = op["column_stride"] or op["stride"]
            taps, inside = self._window(op, pixels, stride, op["in_words"], neighbour)
            addresses = (taps[:, :, None] + np.arange(op["in_words"])).reshape(len(pixels), -1)
            enabled = np.repeat(inside, op["in_words"], axis=1)
            source = self._check_words(addresses[enabled])
            matrix[neighbour, :, : nest.slices][enabled] = self.feature[source]
            touched[source] = True
        return matrix.reshape(neighbours + 1, len(pixels), -1)

    def _convolution(self, op: Instruction) -> None:
        config = self.config
        nest = Nest.of(config, op)
        wide = config.modules * config.columns
        header = self._take_weights(wide)
        tag, complement = struct.unpack_from("<HH", header.tobytes())
        if tag != op["tag"] or complement != tag ^ _TAG_MASK:
            raise ProgramError(f"the weights have tag {tag}, not {op['tag']}")
        if op["table"]:
            self._tables.append(
                self._take_weights(max(wide, TABLE_BYTES))[:TABLE_BYTES].view(np.int8)
            )

        tiles = self._tile_pixels(op)
        touched = np.zeros(config.feature_words, bool)
        seen = self._seen(op, nest, np.arange(tiles[-1].stop), touched)
        self._conv_reads.append((op, touched))

        channels = nest.group * config.columns
        parameter_bytes = max(1, 8 // nest.lanes) * wide
        weight_bytes = op["passes"] * config.rows * wide
        for neighbours in np.repeat(nest.neighbours, config.columns, axis=1):
            for tile in tiles:
                parameters = self._take_weights(parameter_bytes).view(depthwise.PARAMETERS)[
                    :channels
                ]
                raw = self._take_weights(weight_bytes).view(np.int8)
                block = raw.reshape(op["passes"], config.rows, nest.group, nest.lanes, -1)
                weights = block.transpose(0, 3, 1, 2, 4).reshape(-1, channels).astype(np.float64)
                products = np.empty((tile.stop - tile.start, channels))
                for neighbour in np.unique(neighbours):
                    its = neighbours == neighbour
                    products[:, its] = seen[neighbour, tile] @ weights[:, its]
                sums: Int64 = products.astype(np.int64) + parameters["bias"]
                self._tiles.append(_Tile(reference.wrap_int32(sums), parameters["scale"]))

    def post_ready(self, op: Instruction) -> bool:
        """Whether all tiles of a POST are there."""
        return len(self._tiles) >= op["channel_tiles"] * op["pixel_tiles"]

    def _post(self, op: Instruction) -> None:
        if not self._conv_reads:
            raise ProgramError("there is no CONV to this POST")
        conv, touched = self._conv_reads.popleft()
        for name in ("out_width", "channel_tiles", "pixel_tiles", "tile_pixels", "split"):
            if conv[name] != op[name]:
                raise ProgramError(f"CONV has {name} {conv[name]}, its POST {op[name]}")
        if bool(conv["table"]) != bool(op["table"]):
            raise ProgramError("a table that only CONV or only its POST has")
        table = self._tables.popleft() if op["table"] else None
        group = self.config.modules >> op["split"]
        tiles = self._tile_pixels(op)
        for channel_tile in range(op["channel_tiles"]):
            first = channel_tile * group
            words = min(group, op["out_words"] - first)
            if words < 1:
                raise ProgramError(f"channel tile {channel_tile} has no output")
            for pixels in tiles:
                tile = self._tiles.popleft()
                if len(tile.accumulators) != pixels.stop - pixels.start:
                    raise ProgramError("CONV and POST disagree on the last tile")
                used = slice(0, words * self.config.columns)
                y, x = np.divmod(np.arange(pixels.start, pixels.stop), op["out_width"])
                offsets = (x * op["out_words"] + first)[:, None] + np.arange(words)
                target = self._check_words(
                    op["out_base"] + (y * op["out_pitch"])[:, None] + offsets
                )
                if touched[target].any():
                    raise ProgramError("POST writes over the input of its own CONV")
                other = self._other(op, pixels, first, words) if op["residual"] else None
                values = post.results(
                    op, tile.accumulators[:, used], tile.scales[used], other, table
                )
                self._write(target, values)

    def _other(self, op: Instruction, pixels: slice, first: int, words: int) -> Int8:
        """Some words of the other operand, for each of some pixels."""
        if not op["res_width"]:
            raise ProgramError("a row of the other operand is for no pixel")
        y, x = np.divmod(np.arange(pixels.start, pixels.stop), op["res_width"])
        starts = op["res_base"] + y * op["res_pitch"] + x * op["out_words"] + first
        source = starts[:, None] + np.arange(words)
        return self.feature[self._check_words(source)].reshape(len(y), -1)

    def _max_pool(self, op: Instruction) -> None:
        pixels = np.arange(op["out_height"] * op["out_width"])
        if op["out_step"] < op["in_words"]:
            raise ProgramError(f"out_step {op['out_step']} is less than {op['in_words']} words")
        taps, inside = self._window(op, pixels, op["stride"], op["in_step"])
        y, x = np.divmod(pixels, op["out_width"])
        target = (op["out_base"] + y * op["out_pitch"] + x * op["out_step"])[:, None] + np.arange(
            op["in_words"]
        )
        self._check_words(target)
        result = np.full((*target.shape, self.config.rows), np.iinfo(np.int8).min, np.int8)
        for tap, seen in zip(taps.T, inside.T, strict=True):
            source = tap[seen][:, None] + np.arange(op["in_words"])
            words = self.feature[self._check_words(source)]
            result[seen] = np.maximum(result[seen], words)
        self._write(target, result)

    def _mean(self, op: Instruction) -> None:
        y, x = np.divmod(np.arange(op["in_height"] * op["in_width"]), op["in_width"])
        pixels = op["in_base"] + y * op["in_pitch"] + x * op["in_words"]
        source = self._check_words(pixels[:, None] + np.arange(op["in_words"]))
        target = self._check_words(op["out_base"] + np.arange(op["in_words"]))
        multiplier, offset = np.array([op["multiplier"], op["offset"]], np.uint32).view(np.float32)
        seen = self.feature[source].reshape(len(pixels), 1, -1)
        self._write(target, reference.mean(seen, multiplier, offset))

    def _store(self, op: Instruction) -> None:
        word = self.config.dram_bytes_per_cycle
        if op["dram"] % word or op["dram_pitch"] % word:
            raise ProgramError(f"a store to {op['dram']:#x} is not aligned to DRAM words")
        columns = np.arange(op["row_words"])
        for row in range(op["rows"]):
            source = self._check_words(op["in_base"] + row * op["in_pitch"] + columns)
            content = self.feature[source].reshape(-1).view(np.uint8)
            start = op["dram"] + row * op["dram_pitch"]
            self._dram_part(start, len(content))[:] = content

    def _depthwise(self, op: Instruction) -> None:
        depthwise.check(self.config, op)
        words = op["in_words"]
        pixels = np.arange(op["out_height"] * op["out_width"])
        taps, inside = self._window(op, pixels, op["stride"], op["in_words"])
        seen = np.full((*taps.shape, words, self.config.rows), op["in_zero_point"], np.int8)
        source = taps[inside][:, None] + np.arange(words)
        seen[inside] = self.feature[self._check_words(source)]
        parameters = self._check_words(depthwise.parameter_addresses(self.config, op))
        y, x = np.divmod(pixels, op["out_width"])
        target = (op["out_base"] + y * op["out_pitch"] + x * words)[:, None] + np.arange(words)
        result = depthwise.convolve(op, seen, self.feature[parameters])
        self._write(self._check_words(target), result)
