"""A random design in which registers and memories read one another, in circles too."""

import random

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

DEPTH = 8


class Tangle(wiring.Component):
    """Registers that take what others had before the edge, and hold it in most cycles.

    Args:
        seed: of the design.
        registers: how many.
        memories: how many.
    """

    def __init__(self, *, seed: int, registers: int = 40, memories: int = 4) -> None:
        self._seed, self._registers, self._memories = seed, registers, memories
        super().__init__({"i": In(stream.Signature(16)), "o": Out(stream.Signature(16))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rng = random.Random(self._seed)
        taken = Signal()
        m.d.comb += [
            self.i.ready.eq(~self.o.valid | self.o.ready),
            taken.eq(self.i.valid & self.i.ready),
        ]
        held = [
            Signal(rng.choice((1, 8, 16, 33, 70)), name=f"held_{n}", init=n % 2)
            for n in range(self._registers)
        ]
        reads = [Signal(16, name=f"read_{n}") for n in range(self._memories)]
        sources: list[Value] = [*held, *reads, self.i.payload]
        wires = [Signal(16, name=f"wire_{n}") for n in range(self._registers // 4)]
        for wire in wires:
            one, other, third = rng.sample(sources, 3)
            m.d.comb += wire.eq(Mux(one[0], other + third, other ^ (one << 3)))
            sources.append(wire)
        for register in held:
            one, other = rng.sample(sources, 2)
            value = rng.choice((one, one + other, one ^ self.i.payload, Mux(other[0], one, other)))
            # Some follow in each step, others wait for two bits of what comes.
            with m.If(taken & (rng.choice((0, 1)) | (self.i.payload[:2] == rng.randrange(4)))):
                m.d.sync += register.eq(value)
        for number, read in enumerate(reads):
            m.submodules[f"memory_{number}"] = memory = Memory(shape=16, depth=DEPTH, init=[number])
            entrance = memory.write_port(granularity=8)
            leaving = memory.read_port(domain=rng.choice(("sync", "comb")))
            to, what, place = rng.sample(held, 3)
            m.d.comb += [
                entrance.addr.eq(to),
                entrance.data.eq(what),
                entrance.en.eq(Mux(taken, self.i.payload[number : number + 2], 0)),
                leaving.addr.eq(place),
                read.eq(leaving.data),
            ]
        folded = Signal(16)
        pieces = [
            part[low : low + 16] for part in [*held, *reads] for low in range(0, len(part), 16)
        ]
        whole = Cat()
        for number, piece in enumerate(pieces):
            whole = piece.rotate_left(number % len(piece)) ^ whole
        m.d.comb += folded.eq(whole)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(folded)]
        return m
