"""How the external memory behaves in time."""

from __future__ import annotations

import dataclasses

import numpy as np

from sim.memory.stalls import NO_STALLS, Stalls

BASE = 0x1_2340_0000
"""Byte address of the memory's first byte on the bus: above 4 GiB, so that no half is unused."""

RATE_ONE = 1 << 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class MemoryModel:
    """The memory behind the machine's AXI4 port.

    A burst read is accepted at once; its first word comes ``latency`` cycles later at the earliest
    and the others follow. A burst written is accepted at once, its words from the next cycle on;
    it is acknowledged ``latency`` cycles after its last word. Reads and writes share the bandwidth.
    Answers with the same identifier keep their order; with ``reorder``, each word of a read belongs
    to a random one of the identifiers that have a burst due.

    The default is a DRAM that keeps up with the port: 64 cycles are 213 ns at 300 MHz.

    Attributes:
        latency: cycles, at least 1.
        bandwidth: words moved per cycle, in (0, 1]: the part of the port's width that is used.
        reorder: whether reads with different identifiers overtake each other.
        stalls: cycles in which a channel neither starts an answer nor accepts anything, drawn for
            each channel by itself. Their seed also decides the order with ``reorder``.
        errors: byte offsets in the memory that answer SLVERR and keep their content. Addresses
            outside the memory answer DECERR.

    Raises:
        ValueError: a value is out of range; the message quotes it.
    """

    latency: int = 64
    bandwidth: float = 1.0
    reorder: bool = False
    stalls: Stalls = NO_STALLS
    errors: tuple[range, ...] = ()

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
        """The bandwidth in units of 1 / ``RATE_ONE`` words per cycle."""
        return round(self.bandwidth * RATE_ONE)
