"""What the benches of both DMA halves have in common."""

from amaranth.hdl import Assume, Cat, Module
from amaranth.lib.wiring import Component

from hw.bus.burst_splitter import BurstSplitter
from hw.config import DnaConfig
from tests.formal.prove import any_constant, any_value, before

CONFIG = DnaConfig(
    name="proof",
    modules=2,
    rows=4,
    columns=4,
    lanes=4,
    accumulation_depth=2,
    dram_bytes_per_cycle=8,
    feature_words=4,
    weight_fifo_words=2,
    burst_words=2,
    outstanding_bursts=2,
)
"""Small in what a solver notices: words of a burst and bursts under way."""

BURST_BYTES = CONFIG.burst_words * CONFIG.dram_bytes_per_cycle
PAGE = 4096


def constant_window(m, *registers):
    """Let the registers of the window have any value, the first, its base, that of a burst."""
    for register in registers:
        m.d.comb += register.eq(any_constant(m, register.shape(), name=register.name))
    m.d.comb += Assume(registers[0] % BURST_BYTES == 0)


def is_legal(burst):
    """Whether a burst is aligned, not empty, ends before the next border, and says its length."""
    word = CONFIG.dram_bytes_per_cycle
    place = burst.offset % BURST_BYTES // word
    return (
        (burst.offset % word == 0)
        & (burst.length != 0)
        & (burst.single == (burst.length == 1))
        & (place + burst.length <= CONFIG.burst_words)
    )


class AnySplitter(Component):
    """In the place of a splitter: any bursts that are legal, whatever is requested.

    That the real one's are legal is proved in ``test_burst_splitter.py``.
    """

    def __init__(self, config):
        super().__init__(BurstSplitter(config).signature)

    def elaborate(self, platform):
        m = Module()
        bursts = self.bursts
        any_value(m, bursts.valid)
        any_value(m, bursts.payload.as_value())
        m.d.comb += Assume(~bursts.valid | is_legal(bursts.payload))
        offered = Cat(bursts.valid, bursts.payload)
        waits = before(m, bursts.valid & ~bursts.ready)
        m.d.comb += Assume(~waits | (offered == before(m, offered)))
        return m


def inside_a_page(address, length):
    """Whether a burst of ``length + 1`` words does not cross 4 KiB."""
    return address % PAGE + CONFIG.dram_bytes_per_cycle * (length + 1) <= PAGE
