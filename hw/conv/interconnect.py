"""The links from convolution modules to accumulation banks, with the adders between them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.config import DnaConfig
from hw.conv.processing_element import MIN_SUM_WIDTH


def _layout(config: DnaConfig, width: int) -> data.StructLayout:
    lanes = data.ArrayLayout(data.ArrayLayout(signed(width), config.columns), config.modules)
    split = range(exact_log2(config.modules) + 1)
    return data.StructLayout({"data": lanes, "first": 1, "last": 1, "final": 1, "split": split})


def _sum_width(config: DnaConfig) -> int:
    """Bits of a sum of ``rows`` products: what a module gives."""
    return MIN_SUM_WIDTH + int(exact_log2(config.rows))


def sums_layout(config: DnaConfig) -> data.StructLayout:
    """A pixel as it leaves all modules at once.

    Members:
        data: signed(16 + log2 R) [G] [C].
        first, last, final: as in :func:`hw.streams.layouts.pixel_layout`.
        split: log2 k, which links are open; at most log2 G.
    """
    return _layout(config, _sum_width(config))


def banks_layout(config: DnaConfig) -> data.StructLayout:
    """A pixel on its way into the accumulation banks, as :func:`sums_layout`.

    ``data`` is signed(16 + log2 R + log2 G); banks from G >> ``split`` on take no part, and what
    they see may change while a pixel waits.
    """
    return _layout(config, _sum_width(config) + exact_log2(config.modules))


class Interconnect(wiring.Component):
    """Adds the sums of every k = 2^split neighbouring modules and links them to a bank.

    A binary tree of adders whose level l holds G / 2^l nodes, each the sum of 2^l modules: a
    register per node and column. The open links are those from the nodes of level ``split`` to the
    banks of the same numbers, so a module reaches exactly one bank. Sums are exact.

    Pixels keep their order: one with another ``split`` waits until the tree is empty.

    Rate: one pixel per cycle. Latency: ``split`` cycles.

    Stall: while ``banks`` is valid but not ready, everything stands still.

    Args:
        config: uses ``modules`` and ``columns``.

    Ports:
        sums: in, stream of :func:`sums_layout`.
        banks: out, stream of :func:`banks_layout`.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "sums": In(stream.Signature(sums_layout(config))),
                "banks": Out(stream.Signature(banks_layout(config))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the tree level by level, then the switch that opens one level."""
        m = Module()
        levels = exact_log2(self._config.modules)
        sums, banks = self.sums.payload, self.banks.payload

        enable = Signal()
        enters = Signal()  # the pixel on offer may go into the tree
        inside = Signal.like(sums.split)  # split of the pixels that are in it
        level = Signal.like(sums.split)  # whose links are open
        # Per level; level 0 is what is on offer, the others are registers.
        valid = [Signal(name=f"valid_{number}") for number in range(levels + 1)]
        flags: list[Value] = [Cat(sums.first, sums.last, sums.final)]
        nodes: list[list[list[Value]]] = [[list(module) for module in sums.data]]
        busy = Cat(valid[1:]).any()
        m.d.comb += [
            enters.eq(~busy | (sums.split == inside)),
            level.eq(Mux(busy, inside, sums.split)),
            valid[0].eq(self.sums.valid & enters),
            enable.eq(~self.banks.valid | self.banks.ready),
            self.sums.ready.eq(enable & enters),
        ]
        with m.If(valid[0] & enable):
            m.d.sync += inside.eq(sums.split)
        for number in range(1, levels + 1):
            flags.append(Signal(3, name=f"flags_{number}", reset_less=True))
            nodes.append([])
            with m.If(enable):
                m.d.sync += [
                    valid[number].eq(valid[number - 1] & (level >= number)),
                    flags[number].eq(flags[number - 1]),
                ]
            below = iter(nodes[number - 1])
            for node, (left, right) in enumerate(zip(below, below, strict=True)):
                totals: list[Value] = []
                for column, (a, b) in enumerate(zip(left, right, strict=True)):
                    name = f"sum_{number}_{node}_{column}"
                    totals.append(Signal(signed(len(a) + 1), name=name, reset_less=True))
                    with m.If(enable):
                        m.d.sync += totals[-1].eq(a + b)
                nodes[number].append(totals)

        m.d.comb += banks.split.eq(level)
        with m.Switch(level):
            for number in range(levels + 1):
                with m.Case(number):
                    m.d.comb += [
                        self.banks.valid.eq(valid[number]),
                        Cat(banks.first, banks.last, banks.final).eq(flags[number]),
                    ]
        for bank, columns in enumerate(banks.data):
            for column, target in enumerate(columns):
                # Level 0 unless a higher one that has such a node is open.
                m.d.comb += target.eq(nodes[0][bank][column])
                for number in range(1, levels + 1):
                    if bank < len(nodes[number]):
                        with m.If(level == number):
                            m.d.comb += target.eq(nodes[number][bank][column])
        return m
