"""A design whose blocks often stand still, for what skips those that do."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out


class Notebook(wiring.Component):
    """A memory of two write ports, one of which prevails, and of one read port of either kind.

    Ports:
        word: in, what to do; each bit but the lowest four enables or picks something.
        taken: in, whether there is something to do.
        o: out, what was read, before and after a register.
    """

    def __init__(self) -> None:
        super().__init__({"word": In(16), "taken": In(1), "o": Out(16)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=8, depth=8, init=[3, 1, 4])
        first, second = memory.write_port(), memory.write_port(granularity=4)
        sync = memory.read_port(transparent_for=(first,))
        comb = memory.read_port(domain="comb")
        m.d.comb += [
            first.addr.eq(self.word[:3]),
            first.data.eq(self.word[4:12]),
            first.en.eq(self.taken & self.word[12] & ~self.word[13]),
            # Never where the first one writes, which would be undefined.
            second.addr.eq(self.word[1:4]),
            second.data.eq(self.word[3:11]),
            second.en.eq(Mux(self.taken & self.word[13], self.word[14:16], 0)),
            sync.addr.eq(self.word[2:5]),
            sync.en.eq(self.taken & self.word[11]),
            comb.addr.eq(self.word[5:8]),
            self.o.eq(sync.data + (comb.data << 7)),
        ]
        return m


class Idle(wiring.Component):
    """Notebooks in a row; each works for some words only and hands on what it has read."""

    def __init__(self, *, notebooks: int) -> None:
        self._notebooks = notebooks
        super().__init__(
            {"i": In(stream.Signature(16)), "o": Out(stream.Signature(16))},
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        value, taken = self.i.payload, Signal()
        m.d.comb += [
            self.i.ready.eq(~self.o.valid | self.o.ready),
            taken.eq(self.i.valid & self.i.ready),
        ]
        for number in range(self._notebooks):
            notebook = Notebook()
            m.submodules[f"notebook_{number}"] = notebook
            count = Signal(12, name=f"count_{number}")
            chosen = Signal(name=f"chosen_{number}")
            m.d.comb += [
                chosen.eq(taken & (self.i.payload[:2] == number % 4)),
                notebook.word.eq(value ^ count),
                notebook.taken.eq(chosen),
            ]
            with m.If(chosen):
                m.d.sync += count.eq(count + notebook.o[:3] + 1)
            value = notebook.o ^ self.i.payload
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(value)]
        return m
