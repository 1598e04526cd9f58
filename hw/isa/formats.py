"""Every instruction, field by field: the one description that everything else derives from."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping

ISA_VERSION = 6
MAGIC = int.from_bytes(b"oDNA", "little")
INSTRUCTION_BYTES = 64
CHECKSUM_SEED = 0x31414E44
TOKEN_LIMIT = 15
"""What a token counter holds at most."""
CHECKSUM_BITS = 32


class Engine(enum.IntEnum):
    """Who executes an instruction; also the bit numbers of the ``wait`` and ``signal`` masks."""

    CONTROL = 0
    LOAD = 1
    WEIGHTS = 2
    CONV = 3
    POST = 4
    POOL = 5
    STORE = 6
    DEPTHWISE = 7


class Opcode(enum.IntEnum):
    """The first byte of every instruction."""

    HEADER = 0x01
    END = 0x02
    LOAD = 0x10
    WEIGHTS = 0x11
    CONV = 0x20
    POST = 0x30
    MAX_POOL = 0x40
    MEAN = 0x41
    STORE = 0x50
    DEPTHWISE = 0x60


class TablePlace(enum.IntEnum):
    """Where in POST the table of an instruction stands: its field ``table``."""

    NONE = 0
    FRONT = 1
    """In front of the addition, if there is one."""
    BEHIND = 2
    """Behind the addition."""


class Join(enum.IntEnum):
    """What POST computes of a value and one of the other operand: its field ``join``."""

    SUM = 0
    DIFFERENCE = 1
    """The value minus the other operand."""
    REVERSED = 2
    """The other operand minus the value."""
    PRODUCT = 3
    """Of the accumulator, which is an int8 value, and the other operand; then requantized."""
    MAXIMUM = 4
    MINIMUM = 5


@dataclasses.dataclass(frozen=True)
class Field:
    """A named integer in an instruction: width in bits, and what it means."""

    name: str
    width: int
    doc: str
    signed: bool = False

    @property
    def range(self) -> tuple[int, int]:
        """Smallest and largest value."""
        if self.signed:
            return -(1 << (self.width - 1)), (1 << (self.width - 1)) - 1
        return 0, (1 << self.width) - 1


@dataclasses.dataclass(frozen=True)
class Format:
    """The fields of one opcode after the common ones, and the engine that executes it."""

    engine: Engine
    doc: str
    fields: tuple[Field, ...] = ()


_TOKENS = len(Engine)
COMMON = (
    Field("opcode", 8, "which format the rest has"),
    Field("layer", 16, "number of the layer that the instruction belongs to, for reports"),
    Field("wait", _TOKENS, "bit p: take one token of producer p before the start"),
    Field("signal", _TOKENS, "bit c: give one token to consumer c at the end"),
)

_ADDRESS, _PITCH, _EXTENT, _COUNT = 24, 16, 14, 20


def _window() -> tuple[Field, ...]:
    """The input side of a sliding window, shared by convolution and pooling."""
    return (
        Field("in_base", _ADDRESS, "feature word of input pixel (0, 0)"),
        Field("in_pitch", _PITCH, "feature words from one input row to the next"),
        Field("in_words", _EXTENT, "feature words of an input pixel"),
        Field("in_height", _EXTENT, "input rows; outside them the window sees padding"),
        Field("in_width", _EXTENT, "input columns; outside them the window sees padding"),
        Field("kernel_height", 4, "rows of the window"),
        Field("kernel_width", 4, "columns of the window"),
        Field("stride", 3, "input rows and columns from one output to the next"),
        Field("pad_top", 8, "input row of output row 0 is minus this", signed=True),
        Field("pad_left", 8, "input column of output column 0 is minus this", signed=True),
    )


def _tiles() -> tuple[Field, ...]:
    """The loop nest over output tiles, the same in the CONV and POST of a layer."""
    return (
        Field("out_width", _EXTENT, "output columns"),
        Field("channel_tiles", _EXTENT, "outer loop: tiles of (modules >> split) x columns"),
        Field("pixel_tiles", _EXTENT, "inner loop: tiles of consecutive output pixels"),
        Field("tile_pixels", _EXTENT, "pixels of every tile but the last"),
        Field("last_pixels", _EXTENT, "pixels of the last tile of each channel tile"),
        Field("split", 4, "log2 k: k neighbouring modules share one reduction"),
    )


FORMATS: Mapping[Opcode, Format] = {
    Opcode.HEADER: Format(
        Engine.CONTROL,
        "Opens a program; the machine refuses another version or configuration.",
        (
            Field("magic", 32, "MAGIC"),
            Field("isa_version", 16, "ISA_VERSION"),
            Field("config", 64, "digest of the DnaConfig that the program was built for"),
            Field("length", 32, "instructions in the program, this one included"),
        ),
    ),
    Opcode.END: Format(Engine.CONTROL, "Ends a program: raises the interrupt."),
    Opcode.LOAD: Format(
        Engine.LOAD,
        "DRAM to feature memory. Each row of DRAM is cut into windows of bytes that may overlap; "
        "each window fills whole feature words, the rest of the last one with `fill`.",
        (
            Field("dram", 32, "byte offset of row 0 in the memory window, any alignment"),
            Field("dram_pitch", 24, "bytes from one row to the next"),
            Field("row_bytes", 24, "bytes of a row; windows outside it see `fill`"),
            Field("rows", _EXTENT, "rows"),
            Field("windows", _EXTENT, "windows of a row"),
            Field("window_bytes", 16, "bytes of a window"),
            Field("window_step", 16, "bytes from the start of one window to the next"),
            Field("window_lead", 8, "bytes of `fill` before a row's first byte"),
            Field("window_words", 12, "feature words of a window"),
            Field("out_base", _ADDRESS, "feature word of row 0"),
            Field("out_pitch", _PITCH, "feature words from one row to the next"),
            Field("fill", 8, "value of padding", signed=True),
        ),
    ),
    Opcode.WEIGHTS: Format(
        Engine.WEIGHTS,
        "DRAM to weight FIFO: the stream that the CONV instructions consume, in their order.",
        (
            Field("dram", 32, "byte offset in the memory window, aligned to a DRAM word"),
            Field("length", 32, "DRAM words"),
        ),
    ),
    Opcode.CONV: Format(
        Engine.CONV,
        "Feature memory and weights to accumulation memory. Loops, outermost first: channel tile, "
        "pixel tile, pass (k K-slices), pixel. K-slices run over (kernel row, kernel column, "
        "feature word of the pixel).",
        (
            *_window(),
            *_tiles(),
            Field("slices", _EXTENT, "K-slices: kernel height x kernel width x in_words"),
            Field("passes", _EXTENT, "slices / k, rounded up"),
            Field("column_stride", 6, "as `stride`, for columns only; 0 if that is `stride`"),
            Field("in_zero_point", 8, "value of padding", signed=True),
            Field("tag", 16, "must stand in the header of the layer's weight stream"),
            Field("table", 1, "a table for POST follows the header of the weight stream"),
            Field("neighbours", 6, "p: neighbouring pixels of the network that are one here; or 0"),
            Field(
                "pixel_words",
                _EXTENT,
                "of output of each of them: group j of channel tile t (g groups) sees the input of "
                "neighbour (t * g + j) / pixel_words; without meaning if there are none",
            ),
            Field("neighbour_columns", 3, "input columns from one neighbour to the next"),
            Field("neighbour_words", 16, "feature words from one neighbour's window to the next"),
        ),
    ),
    Opcode.POST: Format(
        Engine.POST,
        "Accumulation memory to feature memory: bias, requantize, and with `residual` an addition, "
        "or what else `join` says; "
        "with `table` a function of each value. "
        "Loops: channel tile, pixel tile, pixel, feature word of the tile.",
        (
            *_tiles(),
            Field("out_base", _ADDRESS, "feature word of output pixel (0, 0)"),
            Field("out_pitch", _PITCH, "feature words from one output row to the next"),
            Field("out_words", _EXTENT, "feature words of an output pixel"),
            Field("zero_point", 8, "of the convolution's output", signed=True),
            Field("lo", 8, "lower bound of the convolution's output", signed=True),
            Field("hi", 8, "upper bound of the convolution's output", signed=True),
            Field("residual", 1, "join the tensor at res_base"),
            Field(
                "join",
                3,
                "how: 0 sum, 1 value minus other, 2 other minus value, 3 product of accumulator "
                "and other, requantized, 4 maximum, 5 minimum",
            ),
            Field("res_base", _ADDRESS, "feature word of pixel (0, 0) of the other operand"),
            Field("res_pitch", _PITCH, "its feature words from one row to the next"),
            Field("res_width", _EXTENT, "output pixels that a row of it is for"),
            Field("multiplier", 22, "of the convolution's output in the addition"),
            Field("res_multiplier", 22, "of the other operand"),
            Field("shift", 5, "fraction bits of the two multipliers"),
            Field("scale", 32, "float32 bits of what a product is multiplied with"),
            Field("term_zero_point", 8, "of the one operand, behind a table", signed=True),
            Field("res_zero_point", 8, "of the other operand", signed=True),
            Field("sum_zero_point", 8, "of the sum", signed=True),
            Field("sum_lo", 8, "lower bound of the sum", signed=True),
            Field("sum_hi", 8, "upper bound of the sum", signed=True),
            Field("table", 2, "where a table stands: 0 none, 1 in front of the addition, 2 behind"),
        ),
    ),
    Opcode.MAX_POOL: Format(
        Engine.POOL,
        "Maximum over a window, feature memory to feature memory; padding never wins. Over one "
        "pixel it copies: some words of every pixel, to every so many words.",
        (
            *_window(),
            Field("in_step", _EXTENT, "feature words from one input pixel to the next"),
            Field("out_height", _EXTENT, "output rows"),
            Field("out_width", _EXTENT, "output columns"),
            Field("out_base", _ADDRESS, "feature word of output pixel (0, 0)"),
            Field("out_pitch", _PITCH, "feature words from one output row to the next"),
            Field("out_step", _EXTENT, "feature words from one output pixel to the next"),
        ),
    ),
    Opcode.MEAN: Format(
        Engine.POOL,
        "Mean over height and width, feature memory to feature memory, one output pixel.",
        (
            Field("in_base", _ADDRESS, "feature word of input pixel (0, 0)"),
            Field("in_pitch", _PITCH, "feature words from one input row to the next"),
            Field("in_words", _EXTENT, "feature words of an input pixel"),
            Field("in_height", _EXTENT, "input rows"),
            Field("in_width", _EXTENT, "input columns"),
            Field("out_base", _ADDRESS, "feature word of the output"),
            Field("multiplier", 32, "float32 bits of c"),
            Field("offset", 32, "float32 bits of b"),
        ),
    ),
    Opcode.STORE: Format(
        Engine.STORE,
        "Feature memory to DRAM, whole feature words.",
        (
            Field("in_base", _ADDRESS, "feature word of row 0"),
            Field("in_pitch", _PITCH, "feature words from one row to the next"),
            Field("rows", _EXTENT, "rows"),
            Field("row_words", _COUNT, "feature words of a row"),
            Field("dram", 32, "byte offset of row 0 in the memory window, aligned to a DRAM word"),
            Field("dram_pitch", 24, "bytes from one row to the next, aligned to a DRAM word"),
        ),
    ),
    Opcode.DEPTHWISE: Format(
        Engine.DEPTHWISE,
        "Depthwise convolution, feature memory to feature memory: bias and requantize. Loops, "
        "outermost first: group of depthwise_words >> split words of a pixel, row, 2^split "
        "columns, 3 x 3 block of the window. Machines without the engine refuse it.",
        (
            *_window(),
            Field("out_height", _EXTENT, "output rows"),
            Field("out_width", _EXTENT, "output columns"),
            Field("out_base", _ADDRESS, "feature word of output pixel (0, 0)"),
            Field("out_pitch", _PITCH, "feature words from one output row to the next"),
            Field("parameters", _ADDRESS, "feature word where weights, bias and scale begin"),
            Field("in_zero_point", 8, "value of padding", signed=True),
            Field("zero_point", 8, "of the output", signed=True),
            Field("lo", 8, "lower bound of the output", signed=True),
            Field("hi", 8, "upper bound of the output", signed=True),
            Field("split", 2, "log2 q: q neighbouring input columns share the words of a cycle"),
        ),
    ),
}


def field_widths(opcode: Opcode) -> dict[str, int]:
    """Bits of each field of ``opcode``, the common ones left out."""
    return {field.name: field.width for field in FORMATS[opcode].fields}
