"""From bursts in the memory window to an address channel of AXI4."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.axi import ADDRESS_BITS, WINDOW_ALIGNMENT_BITS, address_channel, size_code
from hw.bus.axi_codes import BURST_INCREMENTING, CACHE_NORMAL, PROTECTION_DATA

OFFSET_BITS = 32


def beats_layout(id_bits: int) -> data.StructLayout:
    """A burst of a port.

    Members:
        offset: unsigned(32), byte offset in the memory window.
        len: unsigned(8), words of the port but one.
        id: unsigned(``id_bits``).
    """
    return data.StructLayout(
        {"offset": unsigned(OFFSET_BITS), "len": unsigned(8), "id": unsigned(id_bits)}
    )


class BurstAddress(wiring.Component):
    """Adds the window's base to the offsets of bursts and offers them on an address channel.

    The base is a multiple of 4 KiB, so the lowest bits are those of the offset; what follows is one
    addition of 20 bits, whose carry picks the upper half of the address or the one behind it.

    Latency: 2 cycles. Rate: a burst in 2 cycles. Stall: ``bursts`` is ready while the register
    behind it is empty.

    Args:
        data_bytes: bytes of a word of the port.
        id_bits: width of the identifiers.

    Ports:
        bursts: in, stream of :func:`beats_layout`.
        window_base: in, unsigned(64), byte address of offset 0; does not change while there are
            bursts.
        channel: out, AR or AW of :mod:`hw.bus.axi`.
        starts: out, a burst is on ``channel`` from the next cycle on.
        pending: out, bursts are taken that are not yet accepted.
    """

    def __init__(self, *, data_bytes: int, id_bits: int) -> None:
        self._size = size_code(data_bytes)
        super().__init__(
            {
                "bursts": In(stream.Signature(beats_layout(id_bits))),
                "window_base": In(unsigned(ADDRESS_BITS)),
                "channel": Out(address_channel(id_bits)),
                "starts": Out(1),
                "pending": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the two registers."""
        m = Module()
        channel, low_bits = self.channel, WINDOW_ALIGNMENT_BITS
        summed = Signal()
        burst = Signal.like(self.bursts.payload)
        middle = Signal(OFFSET_BITS - low_bits + 1)
        upper, next_upper = Signal(ADDRESS_BITS - OFFSET_BITS), Signal(ADDRESS_BITS - OFFSET_BITS)
        m.d.comb += [
            self.bursts.ready.eq(~summed),
            self.starts.eq(summed & (~channel.valid | channel.ready)),
            self.pending.eq(summed | channel.valid),
            channel.payload.size.eq(self._size),
            channel.payload.burst.eq(BURST_INCREMENTING),
            channel.payload.cache.eq(CACHE_NORMAL),
            channel.payload.prot.eq(PROTECTION_DATA),
        ]
        m.d.sync += [
            upper.eq(self.window_base[OFFSET_BITS:]),
            next_upper.eq(self.window_base[OFFSET_BITS:] + 1),
        ]
        with m.If(~summed):
            m.d.sync += [
                summed.eq(self.bursts.valid),
                burst.eq(self.bursts.payload),
                middle.eq(
                    self.window_base[low_bits:OFFSET_BITS] + self.bursts.payload.offset[low_bits:]
                ),
            ]
        with m.If(channel.ready):
            m.d.sync += channel.valid.eq(0)
        with m.If(self.starts):
            m.d.sync += [
                summed.eq(0),
                channel.valid.eq(1),
                channel.payload.addr.eq(
                    Cat(burst.offset[:low_bits], middle[:-1], Mux(middle[-1], next_upper, upper))
                ),
                channel.payload.len.eq(burst.len),
                channel.payload.id.eq(burst.id),
            ]
        return m
