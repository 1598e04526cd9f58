"""Who may enter the convolution modules, and when."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import DnaConfig
from hw.conv.pixel_walker import entry_layout


class Admission(wiring.Component):
    """Lets pixels and rows of weights in: once in, nothing stops them.

    All that could stop them is decided here, ``ENTRY_LATENCY`` cycles before the arrays, for pixels
    and weights alike; so weights follow pixels through the arrays by time alone.

    - A pixel needs weights: those in use belong to a pass that has not ended, or the next ones are
      complete and are put to use by a swap with it or before it.
    - A row of weights needs a place: the next ones are not complete, or are put to use just now.
    - The first pixel of a tile needs a credit. There are two, a tile of the accumulation memory
      each; one is paid by that pixel and comes back when the tile has left the memory. Bank 0 takes
      part in every tile, and all banks of a tile drain together, so the credits of bank 0 are those
      of all.

    Rate: a pixel and a row a cycle. Passes of at least R pixels follow each other without a bubble
    if weights are always there; shorter ones take R cycles.

    Latency: a pixel may enter in the cycle after the last of its rows. Stall: as above.

    Args:
        config: uses ``modules`` and ``rows``.

    Ports:
        pixels: in, stream of :func:`hw.conv.pixel_walker.entry_layout`.
        rows: in, stream without payload: a row of weights of all modules.
        swap: out, from the pixel of this cycle on, the next weights are those in use.
        load: out, a row is taken; it is row ``load_row`` (out).
        released: in, a tile has left the accumulation memory.
        has_weights: out, there are weights for a pixel.
        credits: out, unsigned(2), tiles that may begin: a bit each, from bit 0 on.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._rows = config.rows
        super().__init__(
            {
                "pixels": In(stream.Signature(entry_layout(config))),
                "rows": In(stream.Signature(0)),
                "swap": Out(1),
                "load": Out(1),
                "load_row": Out(range(config.rows)),
                "released": In(1),
                "has_weights": Out(1),
                "credits": Out(2, init=0b11),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build two flags for the weights and two credits."""
        m = Module()
        pixel = self.pixels.payload
        in_use, complete = Signal(), Signal()
        taken, paid, ends_pass, last_row = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            self.has_weights.eq(in_use | complete),
            self.pixels.ready.eq(self.has_weights & (self.credits[0] | ~pixel.begins)),
            taken.eq(self.pixels.valid & self.pixels.ready),
            paid.eq(taken & pixel.begins),
            ends_pass.eq(taken & pixel.last),
            self.swap.eq(complete & ~in_use),
            self.rows.ready.eq(~(complete & in_use)),
            self.load.eq(self.rows.valid & self.rows.ready),
            last_row.eq(self.load & (self.load_row == self._rows - 1)),
        ]
        m.d.sync += [
            in_use.eq(self.has_weights & ~ends_pass),
            complete.eq((complete & ~self.swap) | last_row),
        ]
        with m.If(self.released & ~paid):
            m.d.sync += self.credits.eq(Cat(1, self.credits))
        with m.If(paid & ~self.released):
            m.d.sync += self.credits.eq(self.credits >> 1)
        with m.If(self.load):
            m.d.sync += self.load_row.eq(Mux(last_row, 0, self.load_row + 1))
        return m
