"""A DRAM and its controller, by the numbers of a data sheet."""

from __future__ import annotations

import dataclasses

INTERLEAVE_BYTES = 256
"""So many bytes in turn belong to each channel."""

QUEUE = 64
"""Bursts of the memory that a channel's controller looks at, reads and writes each."""

WRITE_HIGH, WRITE_LOW = 32, 8
"""Writes are sent when so many wait, until so many are left; or when nothing is read."""

TURNAROUND_CLOCKS = 2
"""Of the data bus between the last word read and the first one written."""

CONTROLLER_PS = 20_000
"""Assumed for controller, PHY and crossing of clocks, there and back: 20 ns."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dram:
    """Channels of DRAM, each with a controller that keeps rows open.

    Scheduler: in each clock one command a channel. The oldest access to an open row that the
    timings allow goes first; else the oldest access of a bank has its row opened, or the row in its
    way closed, unless another access still hits that. Writes are gathered and sent many at a time.
    All banks are refreshed together, every ``t_refi``. A read of what is still to be written does
    not wait for it; its bits are right, and the controller answers from its queue.

    Mapping of an address, from the lowest bits: byte of a burst; bank group; column; bank of the
    group; row. Of several channels each has ``INTERLEAVE_BYTES`` in turn.

    Times are minima in ps, but for those called clocks; the controller rounds them up to whole
    clocks. Names are JEDEC's.

    Attributes:
        name: of the preset.
        channels: independent ones.
        width: data bits of a channel.
        beats: words of that width in a burst.
        groups, banks: of a channel; all its banks, evenly in the groups (1: there are none).
        page_bytes: of a row, over the width of the channel.
        clock_ps: period of the command clock.
        burst_clocks: command clocks that a burst takes on the data bus.
        command_clocks: that a command takes.
        read_clocks, write_clocks: read and write latency.
        t_rcd, t_rp, t_ras, t_rc: activate to read or write; precharge; row open; activate to
            activate of a bank.
        t_ccd_s, t_ccd_l: between reads, or between writes: of two groups, of the same.
        t_rrd_s, t_rrd_l, t_faw: between activates; of four of them.
        t_wr, t_rtp: from a write's end, from a read, to precharge.
        t_wtr_s, t_wtr_l: from a write's end to a read.
        t_rfc, t_refi: refresh of all banks; its interval.
        turn_clocks: 0 for the scheduler above. Else all accesses, reads and writes, go in the order
            in which they came, and one to another bank than the one before comes to its bank so
            many clocks after that one was read or written, as LiteDRAM's crossbar has it.
        source: of the numbers.

    Raises:
        ValueError: a number is not one that such a memory can have; the message quotes it.
    """

    name: str
    channels: int
    width: int
    beats: int
    groups: int
    banks: int
    page_bytes: int
    clock_ps: int
    burst_clocks: int
    command_clocks: int = 1
    read_clocks: int
    write_clocks: int
    t_rcd: int
    t_rp: int
    t_ras: int
    t_rc: int
    t_ccd_s: int
    t_ccd_l: int
    t_rrd_s: int
    t_rrd_l: int
    t_faw: int
    t_wr: int
    t_rtp: int
    t_wtr_s: int
    t_wtr_l: int
    t_rfc: int
    t_refi: int
    turn_clocks: int = 0
    source: str

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least = int(field.name != "turn_clocks")
            if field.type == "int" and (not isinstance(value, int) or value < least):
                raise ValueError(f"{field.name} of a DRAM must be at least {least}, not {value!r}")
        for name in ("channels", "groups", "banks", "burst_bytes", "page_bytes"):
            if (value := getattr(self, name)) & (value - 1):
                raise ValueError(f"{name} of a DRAM must be a power of two, not {value!r}")
        if not self.groups <= self.banks <= 64:
            raise ValueError(f"banks of a DRAM must be from groups to 64, not {self.banks!r}")
        if not self.burst_bytes <= min(self.page_bytes, INTERLEAVE_BYTES):
            raise ValueError(
                f"a burst of {self.burst_bytes} bytes must fit a row, and {INTERLEAVE_BYTES} bytes"
            )

    @property
    def burst_bytes(self) -> int:
        """Bytes that a read or write moves."""
        return self.width * self.beats // 8

    @property
    def gigabytes_per_second(self) -> float:
        """The most that all channels move, in 10^9 bytes."""
        return self.channels * self.burst_bytes / (self.burst_clocks * self.clock_ps) * 1e3

    def clocks(self, picoseconds: int) -> int:
        """A time in whole clocks, rounded up as JESD79-4 does: but for 2.5 % of a clock."""
        return (1000 * picoseconds // self.clock_ps + 974) // 1000
