"""The machine whose speed a test has, as the cycle model knows it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec

from harness.hardware.timing import clock
from harness.hardware.timing.clock import Clock
from sim.cycles import predict
from sim.memory.model import MemoryModel
from sw.artifact import Artifact, program_of

DRIVER_ACCESSES = 4
"""Register accesses of ``sim.driver`` between an interrupt and the next start: it clears the
interrupt, reads the status, reads it again before the next run, and starts."""

ACCESS_CYCLES = 64
"""Cycles that one of them takes: assumed as long as a memory access of the default memory model."""

RESTART_CYCLES = DRIVER_ACCESSES * ACCESS_CYCLES


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelledMachine:
    """The machine that is modelled.

    Attributes:
        config: name of its configuration.
        macs: multipliers of its arrays.
        clock: its clock, and what proves it.
        cycles: of one program, from start to interrupt.
        memory: the memory behind it.
        dram_bytes_per_cycle: width of the path to that memory.
    """

    config: str
    macs: int
    clock: Clock
    cycles: int
    memory: MemoryModel
    dram_bytes_per_cycle: int

    def latency(self, samples: int = 1) -> float:
        """Seconds from the issue of a query of so many samples to its last answer."""
        cycles = samples * self.cycles + max(0, samples - 1) * RESTART_CYCLES
        return cycles / (self.clock.mhz * 1e6)

    @property
    def throughput(self) -> float:
        """Images per second, one program after the other."""
        return self.clock.mhz * 1e6 / (self.cycles + RESTART_CYCLES)

    def figures(self) -> dict[str, Any]:
        """What is assumed of the machine, for JSON."""
        return {
            "config": self.config,
            "macs": self.macs,
            "clock": msgspec.to_builtins(self.clock),
            "cycles": self.cycles,
            "restart_cycles": RESTART_CYCLES,
            "latency_ms": self.latency() * 1e3,
            "throughput_per_s": self.throughput,
            "memory": {
                "latency_cycles": self.memory.latency,
                "words_per_cycle": self.memory.bandwidth,
                "bytes_per_cycle": self.memory.bandwidth * self.dram_bytes_per_cycle,
            },
        }

    def __str__(self) -> str:
        return (
            f"modelled, not measured: configuration {self.config}, {self.macs} MACs, "
            f"{self.clock}, {self.cycles} cycles a program and {RESTART_CYCLES} to "
            f"restart; memory {self.memory.bandwidth * self.dram_bytes_per_cycle:g} B a cycle, "
            f"latency {self.memory.latency} cycles"
        )


def modelled_machine(
    network: Artifact,
    path: Path,
    memory: MemoryModel,
    *,
    timing_file: Path | None = None,
    clock_mhz: float | None = None,
) -> ModelledMachine:
    """The machine that ``network`` was compiled for, running its program.

    Args:
        network: the artifact.
        path: of it, for the message.
        memory: behind it.
        timing_file, clock_mhz: as of :func:`harness.hardware.timing.clock.chosen`.

    Raises:
        DnaError: there is no program, or one of an older instruction set, or the file does not
            prove that clock of this machine.
    """
    program = program_of(network, path)
    config = program.config
    return ModelledMachine(
        config=config.name,
        macs=config.macs,
        clock=clock.chosen(config, timing_file, clock_mhz)[0],
        cycles=predict(program, memory).cycles,
        memory=memory,
        dram_bytes_per_cycle=config.dram_bytes_per_cycle,
    )
