"""The interface of a simulated machine: memory, registers, run to the interrupt, counters.

Nothing between start and interrupt is done by Python: the machine fetches its program and data
from the memory model over AXI4. All simulators agree on every bit and every cycle. Each is a file
of ``sim/rtl/engines/``; :mod:`sim.rtl.registry` opens them.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hw.bus import registers
from hw.bus.axi_codes import Response
from hw.config import DnaConfig
from hw.isa import Engine
from hw.status import Activity
from sim.memory.model import BASE, MemoryModel
from sim.rtl.vcd import Waves
from sw.errors import DnaError

RESET_CYCLES = 1 << 20
"""After so many cycles a reset that waits for the bus to come to rest has failed."""

Uint8 = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class FeatureWrites:
    """Writes to the feature memory, in order; row n of each array is one write.

    Attributes:
        cycle: int64 [n], as :attr:`Simulator.cycle` counts.
        source: uint8 [n], :class:`hw.isa.Engine`: LOAD, POST, POOL or DEPTHWISE.
        address: uint32 [n], feature word of the first word.
        offsets: uint32 [n, post_words], from there to each word.
        enable: uint8 [n], bit i: word i is written.
        words: int8 [n, post_words, rows].
    """

    cycle: npt.NDArray[np.int64]
    source: Uint8
    address: npt.NDArray[np.uint32]
    offsets: npt.NDArray[np.uint32]
    enable: Uint8
    words: npt.NDArray[np.int8]


class BusError(RuntimeError):
    """The machine broke a rule of AXI4."""


class Simulator(abc.ABC):
    """A machine in RTL, powered on, with its memory; closes as a context manager.

    Made by :func:`sim.rtl.registry.open_simulator`. A subclass prepares the hardware in its
    constructor, which takes the same arguments.

    Args:
        component: the hardware, a class with the ports of :class:`hw.top.ObservedDna`.
        config: of the machine.
        size: bytes of the memory.
        model: how the memory behaves.
        record_writes: whether :meth:`feature_writes` has something to tell.
        waves: VCD file to write; its cycles count from power-on.

    Attributes:
        config: of the machine.
        patience: cycles without progress that count as a hang with this memory.
        memory: the memory's content, uint8 [size]; byte 0 is at ``sim.memory.model.BASE`` on the
            bus.
    """

    def __init__(
        self,
        component: type[Any],
        config: DnaConfig,
        *,
        size: int,
        model: MemoryModel,
        record_writes: bool,
        waves: Waves | None,
    ) -> None:
        self.config = config
        self.patience = model.patience(config.dram_bytes_per_cycle)
        self.memory: Uint8 = np.zeros(size, np.uint8)

    @property
    def base(self) -> int:
        """Address on the bus of the memory's first byte."""
        return BASE

    @property
    def size(self) -> int:
        """Bytes of the memory."""
        return len(self.memory)

    def write(self, offset: int, content: bytes | npt.NDArray[Any]) -> None:
        """Put bytes into the memory, behind the machine's back.

        Raises:
            ValueError: they do not fit.
        """
        values = np.frombuffer(bytes(content), np.uint8)
        self._range(offset, len(values))[:] = values

    def read(self, offset: int, length: int) -> Uint8:
        """A copy of bytes of the memory, uint8 [length].

        Raises:
            ValueError: they are not all inside.
        """
        return self._range(offset, length).copy()

    def csr_write(self, name: str, value: int) -> None:
        """Write a register of :mod:`hw.bus.registers` over the bus.

        Raises:
            ValueError: there is no such register or it is not writable, or ``value`` does not fit.
            DnaError: the machine refused, as while a program runs.
        """
        register = registers.BY_NAME.get(name)
        if register is None or not register.writable:
            raise ValueError(f"{name!r} is not a writable register")
        if not 0 <= value < 1 << 32:
            raise ValueError(f"{name} = {value!r} does not fit 32 bits")
        response = self._write_register(register.offset, value)
        if response is not Response.OKAY:
            raise DnaError(f"the machine refused to write {name}: {response.name}")

    def csr_read(self, register: str | int) -> int:
        """Read a register over the bus, by name or byte offset.

        Raises:
            ValueError: there is no register of that name.
            DnaError: there is none at that offset.
        """
        if isinstance(register, str):
            if register not in registers.BY_NAME:
                raise ValueError(f"{register!r} is not a register")
            register = registers.BY_NAME[register].offset
        value, response = self._read_register(register)
        if response is not Response.OKAY:
            raise DnaError(f"the machine has no register at {register:#x}: {response.name}")
        return value

    def run_to_interrupt(
        self, max_cycles: int, progress: Callable[[int], None] | None = None
    ) -> int:
        """Run until the interrupt line is high; returns the cycles that took.

        Args:
            max_cycles: give up after so many.
            progress: called a few times a second with the cycles run so far.

        Raises:
            DnaError: there was no interrupt.
            BusError: the machine broke a rule of AXI4.
        """
        first = self.cycle
        while not self._run(max_cycles - (self.cycle - first)):
            if self.cycle - first >= max_cycles:
                raise DnaError(f"the machine raised no interrupt in {max_cycles} cycles")
            if progress is not None:
                progress(self.cycle - first)
        return self.cycle - first

    def reset(self) -> None:
        """Reset the machine through its control register; the memory keeps its content.

        Raises:
            DnaError: the machine's transfers do not come to an end.
        """
        self.csr_write("control", registers.CONTROL_RESET)
        first = self.cycle
        while self.csr_read("status") & registers.STATUS_BUSY:
            if self.cycle - first > RESET_CYCLES:
                raise DnaError(f"the machine did not reset in {RESET_CYCLES} cycles")

    def counters(self) -> dict[Engine, dict[Activity, int]]:
        """Cycles of the last program by engine and activity, from the machine's registers."""
        return {
            engine: {
                activity: self.csr_read(registers.counter_offset(engine, activity))
                for activity in Activity
            }
            for engine in Engine
        }

    @property
    @abc.abstractmethod
    def cycle(self) -> int:
        """Clock cycles since power-on."""

    @abc.abstractmethod
    def feature_writes(self) -> FeatureWrites:
        """What the last program wrote to the feature memory; empty if opened without."""

    @abc.abstractmethod
    def layer_activity(self) -> npt.NDArray[np.int64]:
        """Cycles of the last program, int64 [engine, layer, activity].

        The layer is that of the instruction that the engine took last. The sum over layers is what
        :meth:`counters` gives.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Give the machine up; waves are complete afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abc.abstractmethod
    def _write_register(self, offset: int, value: int) -> Response: ...

    @abc.abstractmethod
    def _read_register(self, offset: int) -> tuple[int, Response]: ...

    @abc.abstractmethod
    def _run(self, max_cycles: int) -> bool:
        """Run for a while; whether the interrupt is high."""

    def _range(self, offset: int, length: int) -> Uint8:
        if not 0 <= offset <= offset + length <= len(self.memory):
            raise ValueError(
                f"bytes {offset} to {offset + length} are not inside a memory "
                f"of {len(self.memory)} bytes"
            )
        return self.memory[offset : offset + length]
