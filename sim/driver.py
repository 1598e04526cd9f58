"""The driver software: what a host does to run a compiled program on the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hw import isa
from hw.bus import registers
from hw.isa import Engine
from hw.status import Fault, waiting
from sw.errors import DnaError
from sw.program import Program

Int8 = npt.NDArray[np.int8]

MAX_CYCLES = 1 << 36
"""No program takes so long; only one that neither ends nor stands still meets this limit."""

_MEANING = {
    Fault.BAD_CHECKSUM: "an instruction is damaged",
    Fault.BAD_OPCODE: "an instruction has no known opcode",
    Fault.BAD_MAGIC: "there is no program",
    Fault.BAD_VERSION: "the program is for another version of the instruction set",
    Fault.BAD_CONFIG: "the program is for another configuration",
    Fault.TRUNCATED: "the program is truncated",
    Fault.OUT_OF_WINDOW: "a transfer leaves the memory window or its writable part",
    Fault.BUS_READ: "the memory answered a read with an error",
    Fault.BUS_WRITE: "the memory answered a write with an error",
    Fault.WEIGHT_HEADER: "the weight stream is not that of the layer",
    Fault.BANK_CONFLICT: "a window reads one bank twice",
    Fault.BAD_SPLIT: "a layer splits its reduction over more modules than there are",
    Fault.BAD_FIELD: "a field of an instruction is out of range",
    Fault.TOKEN_OVERFLOW: "a program gives more tokens than are taken",
    Fault.WATCHDOG: "the machine stands still",
}
_IN_MEMORY = (Fault.OUT_OF_WINDOW, Fault.BUS_READ, Fault.BUS_WRITE)


def _place(code: Fault, address: int) -> str:
    """What the error address of ``code`` says."""
    if code is Fault.WATCHDOG:
        waits = [f"{who.name} {what.name}" for who, what in waiting(address).items()]
        return ", ".join(waits) or "no engine has an instruction"
    if code is Fault.TOKEN_OVERFLOW:
        return f"from {Engine(address >> 4).name} to {Engine(address & 15).name}"
    if code in _IN_MEMORY:
        return f"byte offset {address:#x} of the memory window"
    if code is Fault.WEIGHT_HEADER:
        return f"the stream has tag {address}"
    if code is Fault.BANK_CONFLICT:
        return f"feature word {address}"
    if code is Fault.BAD_SPLIT:
        return f"layer {address}"
    if code is Fault.BAD_FIELD:
        return f"layer, or byte offset of a transfer, {address}"
    return f"instruction {address}"


class MachineError(DnaError):
    """The machine stopped; it runs again after :meth:`Driver.reset`.

    Attributes:
        code: what happened.
        address: where; what it counts depends on the code.
    """

    def __init__(self, code: Fault, address: int) -> None:
        self.code = code
        self.address = address
        super().__init__(
            f"the machine stopped with {code.name}: {_MEANING[code]} ({_place(code, address)})"
        )


class Machine(Protocol):
    """A machine with its memory, simulated (:class:`sim.rtl.simulator.Simulator`) or on a board."""

    @property
    def patience(self) -> int:
        """Cycles without progress that count as a hang with its memory."""

    @property
    def base(self) -> int:
        """Address on the bus of the memory's first byte."""

    @property
    def size(self) -> int:
        """Bytes of the memory."""

    def write(self, offset: int, content: bytes | npt.NDArray[Any]) -> None:
        """Put bytes into the memory."""

    def read(self, offset: int, length: int) -> npt.NDArray[np.uint8]:
        """Bytes of the memory."""

    def csr_write(self, name: str, value: int) -> None:
        """Write a register."""

    def csr_read(self, register: str | int) -> int:
        """Read a register."""

    def run_to_interrupt(
        self, max_cycles: int, progress: Callable[[int], None] | None = None
    ) -> int:
        """Wait until the program has ended, well or not; the cycles so far."""

    def reset(self) -> None:
        """Put a machine that stopped back to work."""


class Driver:
    """Runs one program on a machine, any number of times.

    ::

        with open_simulator(program.config, size=program.memory.size) as machine:
            driver = Driver(machine, program)
            logits = driver.run(pixels)

    Args:
        machine: its memory is filled from the first byte on.
        program: what to run.
        watchdog: cycles without progress that count as a hang; 0: never; None: as many as the
            machine's memory may take.

    Raises:
        DnaError: the machine's registers say that it is none of ours, or of another configuration,
            or its memory is too small.
    """

    def __init__(
        self,
        machine: Machine,
        program: Program,
        *,
        watchdog: int | None = None,
    ) -> None:
        self.machine = machine
        self.program = program
        self._identify()
        memory = program.memory
        if memory.size > machine.size:
            raise DnaError(
                f"the program needs {memory.size} bytes of memory, the machine has {machine.size}"
            )
        machine.write(memory.program.offset, program.code)
        machine.write(memory.weights.offset, program.weights)
        values = {
            "window_base_low": machine.base & 0xFFFFFFFF,
            "window_base_high": machine.base >> 32,
            "window_size": memory.size,
            "write_base": memory.writable.offset,
            "write_size": memory.writable.length,
            "program": memory.program.offset,
            "watchdog": machine.patience if watchdog is None else watchdog,
            "interrupt_enable": registers.ALL_EVENTS,
        }
        for name, value in values.items():
            machine.csr_write(name, value)

    def run(
        self,
        pixels: Int8,
        *,
        operands: Mapping[str, Int8] = MappingProxyType({}),
        max_cycles: int = MAX_CYCLES,
        progress: Callable[[int], None] | None = None,
    ) -> Int8:
        """Run the program once.

        Args:
            pixels: int8, the network's input, [height, width, channels]; of a program of several
                images [n, height, width, channels], and n may be less than it computes.
            operands: of a part of a network, the tensors of ``memory.operands`` by name.
            max_cycles: give up after so many.
            progress: called a few times a second with the cycles run so far.

        Returns:
            The network's output, int8 [height, width, channels], or [n, height, width, channels].

        Raises:
            MachineError: the machine stopped, now or in an earlier run.
            DnaError: the input has another size, or ``max_cycles`` have passed.
        """
        machine, memory = self.machine, self.program.memory
        contents = {memory.input.offset: memory.input.content(self._filled(pixels))}
        for tensor in memory.operands:
            if tensor.tensor not in operands:
                raise DnaError(f"the program takes {tensor.tensor} too, and was not given it")
            contents[tensor.offset] = tensor.content(operands[tensor.tensor])
        self._check()
        for offset, content in contents.items():
            machine.write(offset, content)
        machine.csr_write("control", registers.CONTROL_START)
        machine.run_to_interrupt(max_cycles, progress)
        machine.csr_write("interrupt", registers.ALL_EVENTS)
        self._check()
        where = memory.output.region
        output = memory.output.values(machine.read(where.offset, where.length))
        if self.program.images == 1:
            return output
        return output.reshape(self.program.images, -1, *output.shape[1:])[: len(pixels)]

    def _filled(self, pixels: Int8) -> Int8:
        """A batch that is not full, filled with zeros: the program computes all of its images."""
        missing = self.program.images - len(pixels)
        if self.program.images == 1 or missing <= 0:
            return pixels
        return np.concatenate([pixels, np.zeros((missing, *pixels.shape[1:]), np.int8)])

    def reset(self) -> None:
        """Put a machine that stopped back to work. Program, weights and registers stay.

        Raises:
            DnaError: its transfers do not come to an end.
        """
        self.machine.reset()

    @property
    def cycles(self) -> int:
        """Cycles of the last run from start to interrupt, as the machine counted them."""
        high = self.machine.csr_read("cycles_high")
        return high << 32 | self.machine.csr_read("cycles_low")

    def _identify(self) -> None:
        machine = self.machine
        if machine.csr_read("id") != isa.MAGIC:
            raise DnaError("the registers do not belong to a DNA")
        version = machine.csr_read("version")
        if version != isa.ISA_VERSION:
            raise DnaError(f"the machine's ISA version is {version}, not {isa.ISA_VERSION}")
        digest = machine.csr_read("config_high") << 32 | machine.csr_read("config_low")
        config = self.program.config
        if digest != int(config.digest, 16):
            raise DnaError(
                f"the machine has configuration {digest:016x}, the program is for "
                f"{config.name} ({config.digest}); compile it again"
            )

    def _check(self) -> None:
        status = self.machine.csr_read("status")
        if status & registers.STATUS_BUSY:
            raise DnaError("the machine still runs a program; reset it first")
        if status & registers.STATUS_ERROR:
            raise MachineError(
                Fault(self.machine.csr_read("error_code")),
                self.machine.csr_read("error_address"),
            )
