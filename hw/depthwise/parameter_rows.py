"""Weights, bias and scale of the group of channels that DEPTHWISE computes, and of the next one."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.config import DEPTHWISE_TAPS, DnaConfig
from hw.depthwise.layouts import BLOCKS
from hw.memory.ram import Ram
from hw.microarchitecture import PARAMETER_BYTES


class ParameterRows(wiring.Component):
    """A memory for each tap and one for each byte of bias and scale, a byte a channel in a word.

    Rate: a row in, all weights of a block and all bytes out per cycle. Latency: 2 cycles from
    ``block`` to ``weights``, which have a register in front of the multipliers, 1 from
    ``bytes_half`` to ``bytes``; what is written in a cycle can be read from the next on. Stall:
    none.

    Args:
        config: uses ``rows`` and ``depthwise_words``.

    Ports:
        write: in, write ``row`` in this cycle.
        is_byte, byte, write_block, write_half: in, which row it is, as
            :class:`hw.depthwise.row_reader.RowReader` says.
        row: in, unsigned(8 x rows x ``depthwise_words``).
        half, block: in, unsigned, whose weights to read.
        bytes_half: in, whose bytes to read.
        weights: out, unsigned(8 x rows x ``depthwise_words``) [9].
        bytes: out, the same [8].
    """

    def __init__(self, config: DnaConfig) -> None:
        row = unsigned(8 * config.rows * config.depthwise_words)
        super().__init__(
            {
                "write": In(1),
                "is_byte": In(1),
                "byte": In(range(DEPTHWISE_TAPS)),
                "write_block": In(range(BLOCKS)),
                "write_half": In(1),
                "row": In(row),
                "half": In(1),
                "block": In(range(BLOCKS)),
                "bytes_half": In(1),
                "weights": Out(row).array(DEPTHWISE_TAPS),
                "bytes": Out(row).array(PARAMETER_BYTES),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the memories."""
        m = Module()
        block_bits = ceil_log2(BLOCKS)
        kinds = [(False, tap, output, 2 << block_bits) for tap, output in enumerate(self.weights)]
        kinds += [(True, byte, output, 2) for byte, output in enumerate(self.bytes)]
        for is_byte, number, output, depth in kinds:
            ram = Ram(width=len(self.row), depth=depth)
            m.submodules[f"{'byte' if is_byte else 'tap'}_{number}"] = ram
            addresses = (
                (self.write_half, self.bytes_half)
                if is_byte
                else (Cat(self.write_block, self.write_half), Cat(self.block, self.half))
            )
            m.d.comb += [
                ram.write_address.eq(addresses[0]),
                ram.write_data.eq(self.row),
                ram.write.eq(self.write & (self.is_byte == is_byte) & (self.byte == number)),
                ram.read_address.eq(addresses[1]),
                ram.read.eq(1),
            ]
            if is_byte:
                m.d.comb += output.eq(ram.read_data)
            else:
                weights = Signal.like(output, name=f"weights_{number}", reset_less=True)
                m.d.sync += weights.eq(ram.read_data)
                m.d.comb += output.eq(weights)
        return m
