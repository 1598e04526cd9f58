"""The links from convolution modules to accumulation banks, with the adders between them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.config import DnaConfig
from hw.conv.processing_element import MIN_SUM_WIDTH
from hw.interfaces import split_shape
from hw.streams.delay import delay


def _layout(config: DnaConfig, width: int) -> data.StructLayout:
    lanes = data.ArrayLayout(data.ArrayLayout(signed(width), config.columns), config.modules)
    return data.StructLayout(
        {"data": lanes, "first": 1, "last": 1, "final": 1, "split": split_shape(config)}
    )


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
    they see means nothing.
    """
    return _layout(config, _sum_width(config) + exact_log2(config.modules))


class Interconnect(wiring.Component):
    """Adds the sums of every k = 2^split neighbouring modules and links them to a bank.

    Stages of adders with a register for each bank and column. Stage l is closed for pixels with a
    ``split`` below l, which pass it as they are. In one that is open, bank b gets the sum of what
    stood in front of banks 2b and 2b + 1: of 2^l modules. So a module reaches exactly one bank, and
    pixels keep their order whatever their splits. Sums are exact.

    Rate: one pixel per cycle. Latency: log2 G cycles. Stall: none. What enters goes through.

    Args:
        config: uses ``modules``, ``rows`` and ``columns``.

    Ports:
        sums: in, stream of :func:`sums_layout`, always ready.
        banks: out, stream of :func:`banks_layout`, always ready.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "sums": In(stream.Signature(sums_layout(config), always_ready=True)),
                "banks": Out(stream.Signature(banks_layout(config), always_ready=True)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the stages and the flags that go beside them."""
        m = Module()
        levels = exact_log2(self._config.modules)
        sums, banks = self.sums.payload, self.banks.payload

        split: Value = sums.split
        nodes: list[list[Value]] = [list(module) for module in sums.data]
        for level in range(1, levels + 1):
            is_open = Signal(name=f"open_{level}")
            m.d.comb += is_open.eq(split >= level)
            stage: list[list[Value]] = []
            for bank, columns in enumerate(nodes):
                stage.append([])
                for column, closed in enumerate(columns):
                    value: Value = closed
                    if bank < len(nodes) >> level:
                        left, right = nodes[2 * bank][column], nodes[2 * bank + 1][column]
                        value = Mux(is_open, left, closed) + Mux(is_open, right, 0)
                    name = f"sum_{level}_{bank}_{column}"
                    shape = signed(_sum_width(self._config) + level)
                    register = Signal(shape, name=name, reset_less=True)
                    m.d.sync += register.eq(value)
                    stage[-1].append(register)
            nodes = stage
            split = delay(m, split, 1, f"split_{level}")

        flags = Cat(self.sums.valid, sums.first, sums.last, sums.final)
        flags = delay(m, flags, levels, "flags", reset_less=False)
        m.d.comb += [
            Cat(self.banks.valid, banks.first, banks.last, banks.final).eq(flags),
            banks.split.eq(split),
        ]
        for bank, columns in enumerate(banks.data):
            m.d.comb += [target.eq(node) for target, node in zip(columns, nodes[bank], strict=True)]
        return m
