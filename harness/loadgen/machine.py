"""The machine whose speed a test has, as the cycle model knows it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec

from harness.hardware.memory import MemoryChoice
from harness.hardware.timing import clock
from harness.hardware.timing.clock import Clock
from harness.host.between import ACCESS_NS, DRIVER_ACCESSES, BetweenImages, between_images
from sim.cycles import predict
from sim.memory.model import MemoryModel
from sw.artifact import Artifact, program_of

ACCESS_CYCLES = 64
"""Cycles that one of them takes: assumed as long as a memory access of the default memory model."""

RESTART_CYCLES = DRIVER_ACCESSES * ACCESS_CYCLES

SETUP_ACCESSES = 8
"""Register accesses more if another program follows, in a memory window of its own."""

SETUP_CYCLES = SETUP_ACCESSES * ACCESS_CYCLES


@dataclasses.dataclass(frozen=True)
class ModelledBatch:
    """The program of several images.

    Attributes:
        images: that it computes.
        cycles: of a run, from start to interrupt.
    """

    images: int
    cycles: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelledMachine:
    """The machine that is modelled.

    Attributes:
        config: name of its configuration.
        macs: multipliers of its arrays.
        clock: its clock, and what proves it.
        cycles: of one program, from start to interrupt.
        batch: the program of several images, if there is one and the scenario is for it.
        memory: the memory behind it.
        dram_bytes_per_cycle: width of the path to that memory.
        between: what the host does between two images; in none of these times but for the
            registers, which a restart accesses.
    """

    config: str
    macs: int
    clock: Clock
    cycles: int
    memory: MemoryModel
    dram_bytes_per_cycle: int
    between: BetweenImages
    batch: ModelledBatch | None = None

    def latency(self, samples: int = 1) -> float:
        """Seconds from the issue of a query of so many samples to its last answer."""
        return self.completion(samples, samples)

    def completion(self, number: int, samples: int) -> float:
        """Seconds from the issue of a query of ``samples`` to the answer of one, counted from 1.

        One program runs after the other: those of several images first, all of whose answers come
        at its end. What is left over for less than one is computed image by image, or by one more
        of them that is not full, whichever is done sooner.
        """
        return self._cycles(number, samples) / (self.clock.mhz * 1e6)

    def _cycles(self, number: int, samples: int) -> int:
        if self.batch is None:
            return _runs(number, self.cycles)
        full, rest = divmod(samples, self.batch.images)
        turn = -(-number // self.batch.images)
        if turn <= full:
            return _runs(turn, self.batch.cycles)
        single, setup = _runs(rest, self.cycles), SETUP_CYCLES if full else 0
        before = _runs(full, self.batch.cycles) + RESTART_CYCLES if full else 0
        if setup + single <= self.batch.cycles:
            return before + setup + _runs(number - full * self.batch.images, self.cycles)
        return before + self.batch.cycles

    @property
    def throughput(self) -> float:
        """Images per second, one program after the other."""
        images, cycles = (1, self.cycles)
        if self.batch is not None:
            images, cycles = self.batch.images, self.batch.cycles
        return images * self.clock.mhz * 1e6 / (cycles + RESTART_CYCLES)

    def figures(self) -> dict[str, Any]:
        """What is assumed of the machine, for JSON."""
        return {
            "config": self.config,
            "macs": self.macs,
            "clock": msgspec.to_builtins(self.clock),
            "cycles": self.cycles,
            "restart_cycles": RESTART_CYCLES,
            "batch": None if self.batch is None else dataclasses.asdict(self.batch),
            "latency_ms": self.cycles / (self.clock.mhz * 1e3),
            "throughput_per_s": self.throughput,
            "memory": self.memory.figures(self.dram_bytes_per_cycle),
            "between_images": msgspec.to_builtins(self.between),
        }

    def __str__(self) -> str:
        batch = ""
        if self.batch is not None:
            batch = f" of an image, {self.batch.cycles} of one of {self.batch.images} images"
        return (
            f"modelled, not measured: configuration {self.config}, {self.macs} MACs, "
            f"{self.clock}, {self.cycles} cycles a program{batch} and {RESTART_CYCLES} to "
            f"restart; {self.memory.text(self.dram_bytes_per_cycle)}"
        )


def _runs(count: int, cycles: int) -> int:
    """Cycles of so many programs of the same kind."""
    return count * cycles + max(0, count - 1) * RESTART_CYCLES


def modelled_machine(
    network: Artifact,
    path: Path,
    memory: MemoryChoice,
    *,
    batches: bool = False,
    timing_file: Path | None = None,
    clock_mhz: float | None = None,
) -> ModelledMachine:
    """The machine that ``network`` was compiled for, running its program.

    Args:
        network: the artifact.
        path: of it, for the message.
        memory: behind it.
        batches: whether images come together, so that a program of several may run.
        timing_file, clock_mhz: as of :func:`harness.hardware.timing.clock.chosen`.

    Raises:
        DnaError: there is no program, or one of an older instruction set, or the file does not
            prove that clock of this machine.
    """
    program = program_of(network, path)
    config = program.config
    machine_clock = clock.chosen(config, timing_file, clock_mhz)[0]
    model = memory.at(machine_clock.mhz)
    batch = None
    if batches and network.batch is not None:
        batch = ModelledBatch(network.batch.images, predict(network.batch, model).cycles)
    cycles = predict(program, model).cycles
    machine_ms = cycles / (machine_clock.mhz * 1e3)
    return ModelledMachine(
        config=config.name,
        macs=config.macs,
        clock=machine_clock,
        cycles=cycles,
        memory=model,
        dram_bytes_per_cycle=config.dram_bytes_per_cycle,
        between=between_images(program, machine_ms, access_ns=ACCESS_NS, copy_gb_per_s=None),
        batch=batch,
    )
