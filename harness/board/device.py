"""The machine on a board, as :class:`sim.driver.Driver` wants one: memory and registers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.board.journal import BLOCK, Journal
from harness.board.link.uartbone import WORD, Link, UartBone
from harness.board.soc import SocDescription
from hw.bus import registers
from sw.errors import DnaError

_SCRATCH = 0x12345678
"""What LiteX' scratch register holds after a reset."""
_SOFTWARE = 0x0E
"""The SDRAM's commands come from the registers: clock enable, termination, no reset."""
_HARDWARE = 0x01
TEST_WORDS = 64
POLL_SECONDS = 0.0005

Uint8 = npt.NDArray[np.uint8]


class BoardMachine:
    """A machine behind UARTBone, its SDRAM started and tested.

    Args:
        link: to the board.
        description: of the bitstream in it.
        progress: called with the bytes of a :meth:`write` that are done, and with all of them.
        preload: puts bytes into the memory of a simulated board, whose serial port is slow.

    Attributes:
        base, size: of the memory, without what the journal takes.
        patience: cycles without progress that count as a hang; the memory has the same clock.

    Raises:
        DnaError: the board does not answer, holds something else, or its memory fails.
    """

    def __init__(
        self,
        link: Link,
        description: SocDescription,
        progress: Callable[[int, int], None] = lambda done, whole: None,
        preload: Callable[[int, bytes], None] | None = None,
    ) -> None:
        self.description = description
        self._preload = preload
        self._progress = progress
        self.base = description.memory
        self.patience = registers.DEFAULT_WATCHDOG_CYCLES
        self._bus = UartBone(link)
        self._csr = description.csr
        scratch = self._bus.get(self._csr["ctrl_scratch"])
        if scratch not in (_SCRATCH, ~_SCRATCH & 0xFFFFFFFF):
            raise DnaError(
                f"the board answers, but with {scratch:#010x} where a SoC of `dna soc` has "
                f"{_SCRATCH:#010x}: load its bitstream"
            )
        fresh = scratch == _SCRATCH
        if fresh:
            self._start_memory()
        self._journal = Journal(self._bus, self.base, description.memory_bytes, fresh=fresh)
        self.size = self._journal.size
        if fresh:
            self._bus.put(self._csr["ctrl_scratch"], ~_SCRATCH & 0xFFFFFFFF)
        self._writable = {"write_base": 0, "write_size": 0}

    def _start_memory(self) -> None:
        """The SDRAM's own start, then a test of it."""
        csr, bus = self._csr, self._bus
        bus.put(csr["sdram_dfii_control"], _SOFTWARE)
        for step in self.description.init:
            bus.put(csr["sdram_dfii_pi0_address"], step.address)
            bus.put(csr["sdram_dfii_pi0_baddress"], step.bank)
            if step.control:
                bus.put(csr["sdram_dfii_control"], step.bits)
            else:
                bus.put(csr["sdram_dfii_pi0_command"], step.bits)
                bus.put(csr["sdram_dfii_pi0_command_issue"], 1)
            time.sleep(step.cycles / self.description.clock_hz)
        bus.put(csr["sdram_dfii_control"], _HARDWARE)
        self._test_memory()

    def _test_memory(self) -> None:
        """Words at places that differ in each bit of the address, and a piece of random ones.

        Raises:
            DnaError: one is not what was written.
        """
        random = np.random.default_rng(0)
        bits = range(2, self.description.memory_bytes.bit_length() - 1)
        places = [0, *(1 << bit for bit in bits)]
        values = random.integers(0, 1 << 32, len(places), dtype=np.uint32)
        piece = random.integers(0, 1 << 32, TEST_WORDS, dtype=np.uint32)
        for place, value in zip(places, values, strict=True):
            self._bus.put(self.base + place, int(value))
        for place, value in zip(places, values, strict=True):
            self._compare(place, np.array([value]))
        self._bus.write(self.base, piece)
        self._compare(0, piece)

    def _compare(self, place: int, wanted: npt.NDArray[np.uint32]) -> None:
        found = self._bus.read(self.base + place, len(wanted))
        if wrong := np.flatnonzero(found != wanted).tolist():
            first = wrong[0]
            raise DnaError(
                f"the SDRAM's test failed at byte {place + WORD * first:#x}: "
                f"{int(wanted[first]):#010x} was written, {int(found[first]):#010x} read"
            )

    def write(self, offset: int, content: bytes | npt.NDArray[Any]) -> None:
        """Put bytes into the memory, read them back; blocks that are there already are left out.

        What fills blocks goes past the serial port where a simulation allows that.

        Raises:
            DnaError: what came back is something else.
        """
        values = bytes(content)
        whole = offset % BLOCK == 0
        if self._preload is not None and whole:
            self._preload(offset, values)
            return
        for first in range(0, len(values), BLOCK):
            part, place = values[first : first + BLOCK], offset + first
            if not (whole and self._journal.holds(place, part)):
                self._journal.forget(place, len(part))
                self._write_block(place, np.frombuffer(part, np.uint8))
                if whole:
                    self._journal.note(place, part)
            self._progress(first + len(part), len(values))

    def _write_block(self, offset: int, part: Uint8) -> None:
        start, stop = offset // WORD * WORD, -(-(offset + len(part)) // WORD) * WORD
        if (start, stop) == (offset, offset + len(part)):
            whole = part
        else:
            whole = self.read(start, stop - start)
            whole[offset - start : offset - start + len(part)] = part
        words = np.frombuffer(whole.tobytes(), "<u4")
        self._bus.write(self.base + start, words)
        found = self._bus.read(self.base + start, len(words))
        if not np.array_equal(found, words):
            raise DnaError(
                f"bytes from {start:#x} on came back otherwise than they were written: "
                "the link or the SDRAM is not reliable"
            )

    def read(self, offset: int, length: int) -> Uint8:
        """Bytes of the memory, uint8 [length]."""
        start, stop = offset // WORD * WORD, -(-(offset + length) // WORD) * WORD
        words = self._bus.read(self.base + start, (stop - start) // WORD)
        return np.frombuffer(words.astype("<u4").tobytes(), np.uint8)[
            offset - start : offset - start + length
        ].copy()

    def csr_write(self, name: str, value: int) -> None:
        """Write a register of :mod:`hw.bus.registers`; a start may change all that is writable."""
        if name in self._writable:
            self._writable[name] = value
        if (name, value) == ("control", registers.CONTROL_START):
            self._journal.forget(self._writable["write_base"], self._writable["write_size"])
        self._bus.put(self.description.registers + registers.BY_NAME[name].offset, value)

    def csr_read(self, register: str | int) -> int:
        """Read a register, by name or byte offset."""
        if isinstance(register, str):
            register = registers.BY_NAME[register].offset
        return self._bus.get(self.description.registers + register)

    def run_to_interrupt(
        self, max_cycles: int, progress: Callable[[int], None] | None = None
    ) -> int:
        """Ask until the program has ended, well or not.

        Raises:
            DnaError: it has not in ``max_cycles`` of the board's clock.
        """
        started = time.monotonic()
        while self.csr_read("status") & registers.STATUS_BUSY:
            cycles = int((time.monotonic() - started) * self.description.clock_hz)
            if cycles > max_cycles:
                raise DnaError(f"the machine raised no interrupt in {max_cycles} cycles")
            if progress is not None:
                progress(cycles)
            time.sleep(POLL_SECONDS)
        return self.csr_read("cycles_high") << 32 | self.csr_read("cycles_low")

    def reset(self) -> None:
        """Put a machine that stopped back to work.

        Raises:
            DnaError: its transfers do not come to an end.
        """
        self.csr_write("control", registers.CONTROL_RESET)
        deadline = time.monotonic() + 1
        while self.csr_read("status") & registers.STATUS_BUSY:
            if time.monotonic() > deadline:
                raise DnaError("the machine did not reset in a second")
