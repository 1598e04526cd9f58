"""AXI4 from the machine's clock to that of the memory."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import fifo, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.axi import AxiSignature

MACHINE_DOMAIN = "sync"
MEMORY_DOMAIN = "memory"


class ClockCrossing(wiring.Component):
    """Carries the five channels between two clocks that know nothing of each other.

    Each channel is a queue with pointers in Gray code, each of which passes two registers of the
    other clock (C. E. Cummings, "Simulation and Synthesis Techniques for Asynchronous FIFO Design",
    2002). The order within a channel stays; AXI asks for none between channels.

    Latency: of a word at most one cycle of the sender's clock and four of the receiver's.
    Stall: a channel, while ``depth`` words of it are under way; 16 keep up with any two clocks of
    which neither is more than four times as fast as the other.

    Both domains have to be reset together: a queue of which one end forgets what it holds would
    give answers to requests that nobody made.

    Args:
        data_bytes: bytes of a word, as :func:`hw.bus.axi.size_code` takes them.
        id_bits: width of the identifiers.
        depth: words of each channel, a power of two of at least 4.

    Ports:
        machine: in, :class:`hw.bus.axi.AxiSignature`, domain ``sync``.
        memory: out, the same, domain ``memory``.

    Raises:
        ValueError: a parameter is out of range.
    """

    def __init__(self, *, data_bytes: int, id_bits: int, depth: int = 16) -> None:
        if not isinstance(depth, int) or depth < 4 or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two of at least 4, not {depth!r}")
        self._depth = depth
        signature = AxiSignature(data_bytes=data_bytes, id_bits=id_bits)
        super().__init__({"machine": In(signature), "memory": Out(signature)})

    def elaborate(self, platform: Any) -> Module:
        """A queue for each channel, out to the memory or back from it."""
        m = Module()
        for name, member in self.memory.signature.members.items():
            machine, memory = getattr(self.machine, name), getattr(self.memory, name)
            outwards = member.flow is Out
            source, target = (machine, memory) if outwards else (memory, machine)
            domains = (MACHINE_DOMAIN, MEMORY_DOMAIN)
            write, read = domains if outwards else reversed(domains)
            m.submodules[name] = queue = fifo.AsyncFIFO(
                width=len(source.payload.as_value()),
                depth=self._depth,
                w_domain=write,
                r_domain=read,
            )
            m.d.comb += [
                queue.w_data.eq(source.payload),
                queue.w_en.eq(source.valid),
                source.ready.eq(queue.w_rdy),
                target.payload.eq(queue.r_data),
                target.valid.eq(queue.r_rdy),
                queue.r_en.eq(target.ready),
            ]
        return m
