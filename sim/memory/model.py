"""How the external memory behaves in time."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from hw.bus.registers import DEFAULT_WATCHDOG_CYCLES
from sim.memory.dram import CONTROLLER_PS, Dram
from sim.memory.presets import IDEAL, preset
from sim.memory.stalls import NO_STALLS, Stalls

BASE = 0x1_2340_0000
"""Byte address of the memory's first byte on the bus: above 4 GiB, so that no half is unused."""

RATE_ONE = 1 << 16

IDEAL_LATENCY = 64
"""Cycles of the memory that nobody said anything of."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemoryModel:
    """The memory behind the machine's AXI4 port.

    A burst read is accepted at once; its first word comes ``latency`` cycles later at the earliest
    and the others follow. A burst written is accepted at once, its words from the next cycle on;
    it is acknowledged ``latency`` cycles after its last word. Reads and writes share the bandwidth.
    Answers with the same identifier keep their order; with ``reorder``, each word of a read belongs
    to a random one of the identifiers that have a burst due.

    The default is ideal, a memory that keeps up with the port: 64 cycles are 213 ns at 300 MHz.

    With ``dram`` a burst read is handed to the controller after ``latency`` cycles, in bursts of
    the memory, and each of its words comes as soon as the memory has sent it, in the order of the
    requests unless ``reorder``. What is written is acknowledged after ``latency`` cycles and
    written when the controller gets round to it. Reads and writes share the memory, not the bus.

    Attributes:
        latency: cycles, at least 1.
        bandwidth: words moved per cycle, in (0, 1]: the part of the port's width that is used.
        reorder: whether reads with different identifiers overtake each other.
        stalls: cycles in which a channel neither starts an answer nor accepts anything, drawn for
            each channel by itself. Their seed also decides the order with ``reorder``.
        errors: byte offsets in the memory that answer SLVERR and keep their content. Addresses
            outside the memory answer DECERR.
        dram: the memory behind the ports, which all share; None: each has one of its own.
        cycle_ps: period of the machine's clock, in ps; of no meaning without ``dram``.

    Raises:
        ValueError: a value is out of range; the message quotes it.
    """

    latency: int = IDEAL_LATENCY
    bandwidth: float = 1.0
    reorder: bool = False
    stalls: Stalls = NO_STALLS
    errors: tuple[range, ...] = ()
    dram: Dram | None = None
    cycle_ps: int = 0

    def __post_init__(self) -> None:
        if self.latency < 1:
            raise ValueError(f"latency must be at least 1, not {self.latency!r}")
        if not 1 / RATE_ONE <= self.bandwidth <= 1:
            raise ValueError(
                f"bandwidth must be from {1 / RATE_ONE} to 1 word per cycle, not {self.bandwidth!r}"
            )
        for offsets in self.errors:
            if offsets.step != 1 or offsets.start < 0 or not offsets:
                raise ValueError(f"errors must be ranges of byte offsets, not {offsets!r}")

        if self.dram is not None and (self.cycle_ps < 1 or self.bandwidth != 1):
            raise ValueError(
                f"{self.dram.name} needs the period of a clock and has its own bandwidth, "
                f"not {self.cycle_ps!r} ps and {self.bandwidth!r} words per cycle"
            )

    @classmethod
    def named(cls, name: str, clock_mhz: float) -> MemoryModel:
        """The memory of that name behind a machine at that clock, whose period is whole ps.

        Raises:
            DnaError: there is no such memory.
        """
        if name == IDEAL:
            return cls()
        cycle_ps = round(1e6 / clock_mhz)
        latency = -(-CONTROLLER_PS // cycle_ps)
        return cls(latency=latency, dram=preset(name), cycle_ps=cycle_ps)

    @classmethod
    def random(cls, seed: int) -> MemoryModel:
        """A memory that is slower and less orderly than the default: a pure function of ``seed``.

        Raises:
            ValueError: ``seed`` is negative.
        """
        rng = np.random.default_rng(seed)
        return cls(
            latency=int(rng.integers(1, 200)),
            bandwidth=float(rng.choice([0.25, 0.5, 1.0])),
            reorder=bool(rng.integers(2)),
            stalls=Stalls(float(rng.choice([0.1, 0.2, 0.5])), seed),
        )

    @property
    def rate(self) -> int:
        """Words per cycle in units of 1 / ``RATE_ONE``: read and written, two with ``dram``."""
        return round(self.bandwidth * RATE_ONE) if self.dram is None else 2 * RATE_ONE

    @property
    def name(self) -> str:
        """Of the preset; the memory without DRAM is the ideal one."""
        return IDEAL if self.dram is None else self.dram.name

    def peak_bytes(self, width: int) -> float:
        """The most bytes a cycle that it gives a machine whose path to it is ``width`` bytes."""
        if self.dram is None:
            return self.bandwidth * width
        return min(width, self.dram.gigabytes_per_second * self.cycle_ps / 1e3)

    def patience(self, width: int) -> int:
        """Cycles without progress that count as a hang, in the watchdog's register.

        The register's default is for a memory like the ideal one; a slower one gets as much more as
        a word, or the first one, takes longer.

        Args:
            width: bytes of the machine's path to it.
        """
        slower = max(1, width / self.peak_bytes(width), self.latency / IDEAL_LATENCY)
        return math.ceil(DEFAULT_WATCHDOG_CYCLES * slower)

    def figures(self, width: int) -> dict[str, Any]:
        """What is assumed of it, for JSON.

        Args:
            width: bytes of the machine's path to it.
        """
        peak = self.peak_bytes(width)
        found: dict[str, Any] = {
            "name": self.name,
            "latency_cycles": self.latency,
            "words_per_cycle": peak / width,
            "bytes_per_cycle": peak,
            "reorder": self.reorder,
            "stall_probability": self.stalls.probability,
            "stall_seed": self.stalls.seed,
        }
        if self.dram is not None:
            found |= {
                "gb_per_s": self.dram.gigabytes_per_second,
                "cycle_ps": self.cycle_ps,
                "dram": dataclasses.asdict(self.dram),
            }
        return found

    def text(self, width: int) -> str:
        """The same for people, in a few words."""
        if self.dram is None:
            told = f"memory of {self.bandwidth * width:.4g} bytes a cycle, "
            told += f"latency {self.latency} cycles"
        else:
            told = f"memory {self.name} ({self.dram.gigabytes_per_second:.3g} GB/s, modelled)"
        if self.reorder:
            told += ", reads in any order"
        if self.stalls.probability:
            told += f", stalls in {self.stalls.probability:.0%} of the cycles"
            told += f" (seed {self.stalls.seed})"
        return told
