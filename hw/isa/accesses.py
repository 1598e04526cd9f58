"""What an instruction reads and writes: words of the feature memory and bytes of the DRAM window.

The compiler orders instructions by this, reports follow the contents of the feature memory with it.
The accumulation memory, the weight FIFO and the program's own bytes are not part of it.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from typing import assert_never

from hw.config import DEPTHWISE_SIDE, DEPTHWISE_TAPS, DnaConfig
from hw.isa.encoding import Instruction
from hw.isa.formats import Opcode
from hw.microarchitecture import PARAMETER_BYTES, TABLE_BYTES


class Memory(enum.Enum):
    """A memory that instructions share."""

    FEATURE = "feature"
    """Counted in feature words."""
    DRAM = "dram"
    """Counted in bytes of the memory window."""


@dataclasses.dataclass(frozen=True)
class Rows:
    """Words or bytes of a memory in rows: row n is ``start + n * pitch`` and ``length - 1`` more.

    Attributes:
        rows: how many, at least 1.
        length: of a row, at least 1.
    """

    memory: Memory
    start: int
    length: int
    rows: int = 1
    pitch: int = 0

    @property
    def stop(self) -> int:
        """Behind the last word or byte; the gap behind the last row is not part of it."""
        return self.start + (self.rows - 1) * self.pitch + self.length

    @property
    def size(self) -> int:
        """How many words or bytes."""
        return self.rows * self.length

    @property
    def span(self) -> range:
        """From the first to the last word or byte, gaps between rows included."""
        return range(self.start, self.stop)

    def __iter__(self) -> Iterator[int]:
        """The words or bytes, row by row."""
        for row in range(self.rows):
            first = self.start + row * self.pitch
            yield from range(first, first + self.length)


@dataclasses.dataclass(frozen=True)
class Accesses:
    """What an instruction touches."""

    reads: tuple[Rows, ...] = ()
    writes: tuple[Rows, ...] = ()


def accesses(op: Instruction, config: DnaConfig) -> Accesses:
    """What ``op`` touches on the machine ``config``.

    All that it writes is given exactly. Of what it reads, a window (CONV, MAX_POOL) is given the
    whole map that the instruction describes; its strides may leave rows and columns of that out,
    its step words of the pixels.
    """
    match op.opcode:
        case Opcode.HEADER | Opcode.END:
            return Accesses()
        case Opcode.LOAD:
            row_words = op["windows"] * op["window_words"]
            source = Rows(Memory.DRAM, op["dram"], op["row_bytes"], op["rows"], op["dram_pitch"])
            return Accesses((source,), (_words(op, "out", op["rows"], row_words),))
        case Opcode.WEIGHTS:
            length = op["length"] * config.dram_bytes_per_cycle
            return Accesses((Rows(Memory.DRAM, op["dram"], length),))
        case Opcode.CONV:
            return Accesses((_input_map(op),))
        case Opcode.POST:
            pixels = (op["pixel_tiles"] - 1) * op["tile_pixels"] + op["last_pixels"]
            shape = -(-pixels // op["out_width"]), op["out_width"] * op["out_words"]
            residual = (_other_operand(op, pixels),) if op["residual"] else ()
            return Accesses(residual, (_words(op, "out", *shape),))
        case Opcode.MAX_POOL:
            return Accesses((_input_map(op, op["in_step"]),), _pixels(op))
        case Opcode.MEAN:
            result = Rows(Memory.FEATURE, op["out_base"], op["in_words"])
            return Accesses((_input_map(op),), (result,))
        case Opcode.STORE:
            row_bytes = op["row_words"] * config.rows
            stored = Rows(Memory.DRAM, op["dram"], row_bytes, op["rows"], op["dram_pitch"])
            return Accesses((_words(op, "in", op["rows"], op["row_words"]),), (stored,))
        case Opcode.DEPTHWISE:
            row_words = op["out_width"] * op["in_words"]
            kernel = op["kernel_height"], op["kernel_width"]
            length = parameter_words(config, op["in_words"], kernel, op["split"])
            parameters = Rows(Memory.FEATURE, op["parameters"], length)
            return Accesses(
                (_input_map(op), parameters), (_words(op, "out", op["out_height"], row_words),)
            )
        case _:
            assert_never(op.opcode)


def tap_blocks(kernel_height: int, kernel_width: int) -> int:
    """Blocks of taps that make up a window of DEPTHWISE."""
    return -(-kernel_height // DEPTHWISE_SIDE) * -(-kernel_width // DEPTHWISE_SIDE)


def parameter_words(config: DnaConfig, words: int, kernel: tuple[int, int], split: int) -> int:
    """Feature words of weights, bias and scale of a DEPTHWISE.

    Args:
        config: uses ``depthwise_words``.
        words: of a pixel.
        kernel: its height and width.
        split: log2 of the neighbouring pixels that share the words of a cycle.
    """
    group = config.depthwise_words >> split
    return -(-words // group) * group * parameter_rows(*kernel)


def parameter_rows(kernel_height: int, kernel_width: int) -> int:
    """Rows of ``depthwise_words >> split`` words that DEPTHWISE reads for each group of words.

    A row has a byte for each channel: the weights of a tap of a block, block by block, then the
    bytes of bias and scale.
    """
    return tap_blocks(kernel_height, kernel_width) * DEPTHWISE_TAPS + PARAMETER_BYTES


def stream_bytes(op: Instruction, config: DnaConfig) -> int:
    """Bytes of the weight stream that a CONV takes."""
    wide = config.modules * config.columns
    parameters = max(1, PARAMETER_BYTES >> op["split"])
    tiles = op["channel_tiles"] * op["pixel_tiles"]
    rows = 1 + tiles * (parameters + op["passes"] * config.rows)
    return wide * rows + (max(wide, TABLE_BYTES) if op["table"] else 0)


def _words(op: Instruction, side: str, rows: int, row_words: int) -> Rows:
    return Rows(Memory.FEATURE, op[f"{side}_base"], row_words, rows, op[f"{side}_pitch"])


def _other_operand(op: Instruction, pixels: int) -> Rows:
    """What POST joins to so many pixels; rows without a pitch are one."""
    rows = -(-pixels // op["res_width"]) if op["res_pitch"] else 1
    return _words(op, "res", rows, min(op["res_width"], pixels) * op["out_words"])


def _input_map(op: Instruction, step: int | None = None) -> Rows:
    step = step or op["in_words"]
    row_words = (op["in_width"] - 1) * step + op["in_words"]
    return _words(op, "in", op["in_height"], row_words)


def _pixels(op: Instruction) -> tuple[Rows, ...]:
    """Pixels of ``in_words`` words that begin every ``out_step``, row by row if there are gaps."""
    words, step = op["in_words"], op["out_step"]
    if step == words:
        return (_words(op, "out", op["out_height"], op["out_width"] * words),)
    starts = range(op["out_height"])
    return tuple(
        Rows(
            Memory.FEATURE,
            op["out_base"] + row * op["out_pitch"],
            words,
            op["out_width"],
            step,
        )
        for row in starts
    )
