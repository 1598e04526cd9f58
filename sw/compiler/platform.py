"""What a program is compiled for: the accelerator, and the memory that it will meet."""

from __future__ import annotations

import dataclasses
import math

from hw.config import DnaConfig
from sw.errors import DnaError


@dataclasses.dataclass(frozen=True)
class Platform:
    """A configuration of the machine and the memory behind it.

    Any program runs with any memory: this decides only which of several schedules is taken for the
    quickest. How late a memory answers is not part of it, since data is fetched ahead.

    Attributes:
        config: of the machine.
        bandwidth: what the memory delivers, as a part of what the DRAM port could take; more than
            0, at most 1.

    Raises:
        DnaError: the bandwidth is out of range.
    """

    config: DnaConfig
    bandwidth: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.bandwidth <= 1:
            raise DnaError(
                f"the memory's bandwidth must be a part of the port's, above 0 and at most 1, "
                f"not {self.bandwidth}"
            )

    def dram_cycles(self, size: int) -> int:
        """Cycles in which ``size`` bytes come from the memory, or go to it."""
        return math.ceil(size / (self.config.dram_bytes_per_cycle * self.bandwidth))
