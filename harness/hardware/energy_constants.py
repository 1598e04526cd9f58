"""Energies of single events, in pJ, with their sources; each as low, usual and high.

Two technologies are those for which one table has all: arithmetic and memories in 45 nm at 0.9 V
(M. Horowitz, "Computing's energy problem", ISSCC 2014) and in 7 nm (N. Jouppi et al., "Ten lessons
from three generations shaped Google's TPUv4i", ISCA 2021, table 2, which repeats the former). The
third is the first one with CACTI's memories, which have an area, too. Low and high are half and
twice, unless a source has a range: published energies of the same operation differ by as much.
"""

from __future__ import annotations

import msgspec

from harness.hardware.sram import CactiSram, PublishedSram, cacti


class Range(msgspec.Struct, frozen=True):
    """An energy in pJ."""

    low: float
    usual: float
    high: float

    def __mul__(self, count: float) -> Range:
        return Range(self.low * count, self.usual * count, self.high * count)

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.usual + other.usual, self.high + other.high)


def _about(picojoules: float) -> Range:
    return Range(picojoules / 2, picojoules, 2 * picojoules)


class Technology(msgspec.Struct, frozen=True, kw_only=True):
    """What events cost.

    Attributes:
        mac: an int8 product and its addition in int32.
        requantization: the product of an accumulator and a scale, as one of 32 x 32 bits.
        accumulation: an addition in int32.
        flip_flop: one bit of a register, each cycle, with its share of the clock.
        sram: the memories.
        source: of these.
    """

    name: str
    mac: Range
    requantization: Range
    accumulation: Range
    flip_flop: Range
    sram: PublishedSram | CactiSram
    source: str

    def word(self, bits: int, size: float) -> Range:
        """Reading or writing a word of a memory of ``size`` bytes."""
        return _about(self.sram.word(bits, size))


_45NM = Technology(
    name="45nm",
    mac=_about(0.2 + 0.1),
    requantization=_about(3.1),
    accumulation=_about(0.1),
    flip_flop=_about(0.007),
    sram=PublishedSram(((8, 10.0), (32, 20.0), (1024, 100.0))),
    source="Horowitz, ISSCC 2014 (45 nm, 0.9 V); flip-flops: clock pin of Nangate45's "
    "DFF_X1, typical corner, 1.1 V, both edges, without clock tree or gating",
)
TECHNOLOGIES = {
    technology.name: technology
    for technology in (
        _45NM,
        msgspec.structs.replace(
            _45NM,
            name="45nm-cacti",
            sram=cacti(),
            source=f"{_45NM.source}; memories: {cacti().source}",
        ),
        Technology(
            name="7nm",
            mac=_about(0.07 + 0.03),
            requantization=_about(1.48),
            accumulation=_about(0.03),
            flip_flop=_about(0.0021),
            sram=PublishedSram(((8, 7.5), (32, 8.5), (1024, 14.0))),
            source="Jouppi et al., ISCA 2021, table 2 (7 nm); flip-flops: those of 45 nm, less by "
            "the ratio of the two additions in int32 (assumed)",
        ),
    )
}
"""By name; the first one is the default."""

DEFAULT = next(iter(TECHNOLOGIES))


class DramEnergy(msgspec.Struct, frozen=True):
    """pJ for a bit read or written, controller and pins included; ``verified``: in the source."""

    bit: Range
    source: str
    verified: bool


_DDR = DramEnergy(
    Range(20.3, 20.3, 40.6), "Horowitz, ISSCC 2014: 1.3 to 2.6 nJ for 64 bits of DRAM", True
)
DRAM = {
    "sdr": DramEnergy(Range(40.6, 80.0, 200.0), "3.3 V: twice DDR4's and more; no table", False),
    "ddr3": _DDR,
    "ddr4": _DDR,
    "hbm2": DramEnergy(Range(3.9, 5.5, 7.0), "Jouppi et al., ISCA 2021: 250 to 450 pJ", True),
    "lpddr4": DramEnergy(Range(4.0, 8.0, 16.0), "a third to a half of DDR4's; no table", False),
    "lpddr5": DramEnergy(Range(3.0, 6.0, 12.0), "a quarter less than LPDDR4's; no table", False),
    "ideal": DramEnergy(Range(3.9, 20.3, 40.6), "no memory: as DDR4, range of all", False),
}
"""By what the name of a memory (:mod:`sim.memory.presets`) has in front of its first hyphen."""
