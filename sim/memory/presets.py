"""Memories by name. Every number has its source; ``Nx`` in front of a name is N times its channels.

Where a data sheet gives a time and a number of clocks, the longer is meant; it is written as the
time at the preset's clock.
"""

from __future__ import annotations

import dataclasses

from sim.memory.dram import Dram
from sw.errors import DnaError

IDEAL = "ideal"
"""The memory that delivers its full width every cycle, after a latency."""

COUNTS = (2, 4, 8)

PRESETS = {
    dram.name: dram
    for dram in (
        Dram(
            name="sdr-40x16",
            channels=1,
            width=16,
            beats=4,
            groups=1,
            banks=4,
            page_bytes=1024,
            clock_ps=25_000,
            burst_clocks=5,
            read_clocks=8,
            write_clocks=1,
            t_rcd=25_000,
            t_rp=25_000,
            t_ras=50_000,
            t_rc=75_000,
            t_ccd_s=125_000,
            t_ccd_l=125_000,
            t_rrd_s=25_000,
            t_rrd_l=25_000,
            t_faw=25_000,
            t_wr=25_000,
            t_rtp=25_000,
            t_wtr_s=50_000,
            t_wtr_l=50_000,
            t_rfc=75_000,
            t_refi=7_812_500,
            turn_clocks=4,
            source="Micron MT48LC16M16 at 40 MHz behind LiteDRAM and its converter to words of 64 "
            "bits, which waits a clock between two of them; read latency and turns assumed",
        ),
        Dram(
            name="ddr3-1600x16",
            channels=1,
            width=16,
            beats=8,
            groups=1,
            banks=8,
            page_bytes=2048,
            clock_ps=1250,
            burst_clocks=4,
            read_clocks=11,
            write_clocks=8,
            t_rcd=13_750,
            t_rp=13_750,
            t_ras=35_000,
            t_rc=48_750,
            t_ccd_s=5_000,
            t_ccd_l=5_000,
            t_rrd_s=7_500,
            t_rrd_l=7_500,
            t_faw=40_000,
            t_wr=15_000,
            t_rtp=7_500,
            t_wtr_s=7_500,
            t_wtr_l=7_500,
            t_rfc=260_000,
            t_refi=7_800_000,
            source="Micron MT41K256M16 (4 Gb, x16), speed grade -125, 11-11-11; JESD79-3",
        ),
        Dram(
            name="ddr4-2400x16",
            channels=1,
            width=16,
            beats=8,
            groups=2,
            banks=8,
            page_bytes=2048,
            clock_ps=833,
            burst_clocks=4,
            read_clocks=17,
            write_clocks=12,
            t_rcd=14_160,
            t_rp=14_160,
            t_ras=32_000,
            t_rc=46_160,
            t_ccd_s=3_332,
            t_ccd_l=5_000,
            t_rrd_s=5_300,
            t_rrd_l=6_400,
            t_faw=30_000,
            t_wr=15_000,
            t_rtp=7_500,
            t_wtr_s=2_500,
            t_wtr_l=7_500,
            t_rfc=350_000,
            t_refi=7_800_000,
            source="Micron MT40A512M16 (8 Gb, x16), speed grade -083, 17-17-17; JESD79-4",
        ),
        Dram(
            name="ddr4-2400x64",
            channels=1,
            width=64,
            beats=8,
            groups=4,
            banks=16,
            page_bytes=8192,
            clock_ps=833,
            burst_clocks=4,
            read_clocks=17,
            write_clocks=12,
            t_rcd=14_160,
            t_rp=14_160,
            t_ras=32_000,
            t_rc=46_160,
            t_ccd_s=3_332,
            t_ccd_l=5_000,
            t_rrd_s=3_332,
            t_rrd_l=4_900,
            t_faw=21_000,
            t_wr=15_000,
            t_rtp=7_500,
            t_wtr_s=2_500,
            t_wtr_l=7_500,
            t_rfc=350_000,
            t_refi=7_800_000,
            source="eight Micron MT40A1G8 (8 Gb, x8), speed grade -083, 17-17-17; JESD79-4",
        ),
        Dram(
            name="lpddr4-3200x32",
            channels=2,
            width=16,
            beats=16,
            groups=1,
            banks=8,
            page_bytes=2048,
            clock_ps=625,
            burst_clocks=8,
            command_clocks=4,
            read_clocks=28,
            write_clocks=14,
            t_rcd=18_000,
            t_rp=21_000,
            t_ras=42_000,
            t_rc=63_000,
            t_ccd_s=5_000,
            t_ccd_l=5_000,
            t_rrd_s=10_000,
            t_rrd_l=10_000,
            t_faw=40_000,
            t_wr=18_000,
            t_rtp=7_500,
            t_wtr_s=10_000,
            t_wtr_l=10_000,
            t_rfc=180_000,
            t_refi=3_904_000,
            source="JESD209-4 at 3200 Mb/s, 4 Gb a channel (as Micron MT53E256M16), all banks' tRP",
        ),
        Dram(
            name="lpddr5-6400x64",
            channels=4,
            width=16,
            beats=16,
            groups=4,
            banks=16,
            page_bytes=2048,
            clock_ps=1250,
            burst_clocks=2,
            read_clocks=17,
            write_clocks=9,
            t_rcd=18_000,
            t_rp=21_000,
            t_ras=42_000,
            t_rc=63_000,
            t_ccd_s=2_500,
            t_ccd_l=5_000,
            t_rrd_s=5_000,
            t_rrd_l=5_000,
            t_faw=20_000,
            t_wr=34_000,
            t_rtp=7_500,
            t_wtr_s=6_250,
            t_wtr_l=12_000,
            t_rfc=210_000,
            t_refi=3_906_000,
            source="JESD209-5 at 6400 Mb/s, WCK four times CK, bank groups, 8 Gb a channel",
        ),
        Dram(
            name="hbm2-channel",
            channels=2,
            width=64,
            beats=4,
            groups=4,
            banks=16,
            page_bytes=1024,
            clock_ps=1000,
            burst_clocks=2,
            read_clocks=14,
            write_clocks=4,
            t_rcd=14_000,
            t_rp=14_000,
            t_ras=34_000,
            t_rc=48_000,
            t_ccd_s=2_000,
            t_ccd_l=4_000,
            t_rrd_s=4_000,
            t_rrd_l=6_000,
            t_faw=30_000,
            t_wr=16_000,
            t_rtp=6_000,
            t_wtr_s=6_000,
            t_wtr_l=8_000,
            t_rfc=260_000,
            t_refi=3_900_000,
            source="JESD235 at 2 Gb/s, one channel of 128 bits as two pseudo channels; times, "
            "which it leaves to makers, of DRAMsim3's HBM2_8Gb_x128",
        ),
    )
}
"""The named memories."""


def names() -> list[str]:
    """All names, the ideal memory's first, without those of several."""
    return [IDEAL, *PRESETS]


def preset(name: str) -> Dram:
    """The memory called ``name``, which is not the ideal one.

    Raises:
        DnaError: there is none.
    """
    times, _, rest = name.partition("x")
    if name not in PRESETS and rest in PRESETS and times in map(str, COUNTS):
        one = PRESETS[rest]
        return dataclasses.replace(one, name=name, channels=int(times) * one.channels)
    if name not in PRESETS:
        raise DnaError(
            f"no memory {name!r}; choose one of {', '.join(names())}, or of one that is not ideal "
            f"several: {', '.join(f'{count}x' for count in COUNTS)} in front of its name"
        )
    return PRESETS[name]
