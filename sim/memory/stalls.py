"""When a testbench holds back: a pure function of seed, stream and cycle, the same in every engine.

Each cycle of each stream draws one number: the output of SplitMix64 (Steele, Lea and Flood, 2014)
at a state made of seed, stream and cycle. ``draw.h`` computes the same.
"""

from __future__ import annotations

import dataclasses

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15
_STREAM_SHIFT = 56


@dataclasses.dataclass(frozen=True)
class Stalls:
    """Random stalls.

    An input stream that stalls in a cycle does not begin to offer a word (a word once offered
    stays); an output stream that stalls is not ready.

    Attributes:
        probability: of a stall, per stream and cycle, in [0, 1).
        seed: any integer from 0; the same seed gives the same stalls.

    Raises:
        ValueError: the probability or the seed is out of range.
    """

    probability: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.probability < 1.0:
            raise ValueError(f"probability of a stall must be in [0, 1), not {self.probability!r}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, not {self.seed!r}")

    @property
    def threshold(self) -> int:
        """Draws of 32 bits below this number stall."""
        return int(self.probability * 2**32)

    def state(self, stream: int) -> int:
        """State of cycle 0 of the stream with index ``stream``."""
        return (self.seed * _GAMMA ^ stream << _STREAM_SHIFT) & _MASK

    def stalled(self, stream: int, cycle: int) -> bool:
        """Whether the stream with index ``stream`` stalls in ``cycle``."""
        return self.draw(stream, cycle) < self.threshold

    def draw(self, stream: int, cycle: int) -> int:
        """The 32 random bits of the stream with index ``stream`` in ``cycle``."""
        z = (self.state(stream) + (cycle + 1) * _GAMMA) & _MASK
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
        return (z ^ z >> 31) >> 32


NO_STALLS = Stalls(0.0)
