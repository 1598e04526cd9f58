"""What the benches of both DMA halves have in common."""

from amaranth.hdl import Assume

from hw.config import DnaConfig
from tests.formal.prove import any_constant

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


def inside_a_page(address, length):
    """Whether a burst of ``length + 1`` words does not cross 4 KiB."""
    return address % PAGE + CONFIG.dram_bytes_per_cycle * (length + 1) <= PAGE
