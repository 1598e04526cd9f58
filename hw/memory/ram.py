"""The memories of the machine: everything that becomes a block RAM or an SRAM macro."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2


class Ram(wiring.Component):
    """A memory that is written at one address and read at another in the same cycle.

    Each shape is a module of its own in the design, named by :attr:`module_name`, with nothing in
    it but the memory: an SRAM macro goes in by replacing that module. What is in it at power-up
    and what a read gives of a word that is written in the same cycle do not matter: no block here
    looks at either.

    Latency: 1 cycle from ``read_address`` to ``read_data``. Stall: ``read_data`` stands still in
    the cycle after one without ``read``.

    Args:
        width: bits of a word.
        depth: words.
        parts: how many parts of a word can be written by themselves.

    Ports:
        write: in, unsigned(``parts``), which parts to write in this cycle; part 0 is in the low
            bits.
        write_address: in, unsigned.
        write_data: in, unsigned(``width``).
        read: in, read in this cycle.
        read_address: in, unsigned.
        read_data: out, unsigned(``width``).

    Raises:
        ValueError: a number is not a positive integer, or ``width`` no multiple of ``parts``.
    """

    _KIND = "1r1w"

    def __init__(self, *, width: int, depth: int, parts: int = 1) -> None:
        for name, value in (("width", width), ("depth", depth), ("parts", parts)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive integer, not {value!r}")
        if width % parts:
            raise ValueError(f"width must be a multiple of parts ({parts}), not {width!r}")
        self._width, self._depth, self._parts = width, depth, parts
        super().__init__(self._ports(unsigned(ceil_log2(depth))))

    @property
    def module_name(self) -> str:
        """What the module is called: kind, width, depth and, if there are several, parts."""
        parts = f"x{self._parts}" if self._parts > 1 else ""
        return f"dna_ram_{self._KIND}_{self._width}x{self._depth}{parts}"

    def _ports(self, address: Any) -> dict[str, Any]:
        return {
            "write": In(unsigned(self._parts)),
            "write_address": In(address),
            "write_data": In(unsigned(self._width)),
            "read": In(1),
            "read_address": In(address),
            "read_data": Out(unsigned(self._width)),
        }

    def _memory(self, m: Module) -> tuple[Any, Any]:
        """The memory, its port that reads, and the one that writes; its address is left."""
        m.submodules.memory = memory = Memory(
            shape=unsigned(self._width), depth=self._depth, init=[]
        )
        write = memory.write_port(granularity=self._width // self._parts)
        read = memory.read_port()
        m.d.comb += [
            write.data.eq(self.write_data),
            write.en.eq(self.write),
            read.addr.eq(self.read_address),
            read.en.eq(self.read),
            self.read_data.eq(read.data),
        ]
        return memory, write

    def elaborate(self, platform: Any) -> Module:
        """Build the memory."""
        m = Module()
        _, write = self._memory(m)
        m.d.comb += write.addr.eq(self.write_address)
        return m


class DualPortRam(Ram):
    """A memory with two addresses: one reads, the other reads or writes, in the same cycle.

    As :class:`Ram`, but for its ports. Latency: 1 cycle from an address to its data.

    Ports:
        write: in, unsigned(``parts``), which parts to write at ``shared_address`` in this cycle.
        write_data: in, unsigned(``width``).
        shared_read: in, read at ``shared_address``; not in a cycle that writes.
        shared_address: in, unsigned.
        shared_data: out, unsigned(``width``); latency and stall as those of ``read_data``.
        read, read_address, read_data: as those of :class:`Ram`.
    """

    _KIND = "1r1rw"

    def _ports(self, address: Any) -> dict[str, Any]:
        return {
            "write": In(unsigned(self._parts)),
            "write_data": In(unsigned(self._width)),
            "shared_read": In(1),
            "shared_address": In(address),
            "shared_data": Out(unsigned(self._width)),
            "read": In(1),
            "read_address": In(address),
            "read_data": Out(unsigned(self._width)),
        }

    def elaborate(self, platform: Any) -> Module:
        """Build the memory."""
        m = Module()
        memory, write = self._memory(m)
        shared = memory.read_port()
        m.d.comb += [
            write.addr.eq(self.shared_address),
            shared.addr.eq(self.shared_address),
            shared.en.eq(self.shared_read),
            self.shared_data.eq(shared.data),
        ]
        return m
