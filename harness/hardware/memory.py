"""Which memory is behind a machine: what the command line says of it, before there is a clock."""

from __future__ import annotations

import dataclasses

from sim.memory.model import MemoryModel
from sim.memory.presets import IDEAL, preset
from sw.errors import DnaError


@dataclasses.dataclass(frozen=True)
class MemoryChoice:
    """A memory by name.

    Attributes:
        name: of :mod:`sim.memory.presets`.
        latency, bandwidth: of the ideal one, as of :class:`MemoryModel`; None: as there.

    Raises:
        DnaError: there is no such memory, or it is not the ideal one and has its own latency.
    """

    name: str = IDEAL
    latency: int | None = None
    bandwidth: float | None = None

    def __post_init__(self) -> None:
        if self.name != IDEAL:
            preset(self.name)
            for option, value in (("latency", self.latency), ("bandwidth", self.bandwidth)):
                if value is not None:
                    raise DnaError(
                        f"--memory-{option} is of the ideal memory; leave it out with {self.name}"
                    )

    def at(self, clock_mhz: float) -> MemoryModel:
        """The memory behind a machine at that clock."""
        model = MemoryModel.named(self.name, clock_mhz)
        latency = model.latency if self.latency is None else self.latency
        bandwidth = model.bandwidth if self.bandwidth is None else self.bandwidth
        return dataclasses.replace(model, latency=latency, bandwidth=bandwidth)
