"""The sequencer: fetches the program, hands instructions to engines, keeps the tokens."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, fifo, wiring
from amaranth.lib.wiring import In, Out, flipped

from hw import isa
from hw.config import DnaConfig
from hw.control.instruction_fetch import InstructionFetch
from hw.control.token_counters import PRODUCERS, TokenCounters
from hw.interfaces import DramReadSignature, EngineSignature, FaultSignature
from hw.isa import Engine
from hw.microarchitecture import INSTRUCTIONS_UNDER_WAY
from hw.status import ACTIVITY_BITS, Activity, Fault

WORKERS = PRODUCERS


def _common() -> data.StructLayout:
    """The fields that every instruction has."""
    members = {field.name: unsigned(field.width) for field in isa.COMMON}
    spare = 8 * isa.INSTRUCTION_BYTES - sum(field.width for field in isa.COMMON)
    return data.StructLayout({**members, "_rest": unsigned(spare)})


class Sequencer(wiring.Component):
    """Runs a program from ``start`` to its END.

    Each engine has one instruction waiting in front of it, so a full engine stops the dispatch of
    what follows in the program but not the other engines. An instruction is offered to its engine
    when all tokens of its ``wait`` mask are there; they are taken when the engine takes it. Its
    ``signal`` tokens are there in the 2nd cycle after the engine's ``done``. What engines are
    offered, ``finished`` and ``fault`` are registers.

    Latency: an instruction is offered 2 cycles after the fetch unit offers it, tokens permitting.

    Stall: an instruction waits for its tokens, for its engine, and while the engine has
    ``INSTRUCTIONS_UNDER_WAY``; the place in front of an engine is free in the cycle after it took.

    Args:
        config: uses ``dram_bytes_per_cycle`` and ``digest``.

    Ports:
        start: in, begin a program; only while not ``busy``.
        program: in, unsigned(32), byte offset of the program.
        busy: out.
        finished: out, one cycle high when END has its tokens.
        halt: in, dispatch nothing more.
        engines: array of :class:`hw.interfaces.EngineSignature` from the driver's side, in the
            order of ``WORKERS``.
        layers: out, array of unsigned(16) by :class:`hw.isa.Engine`: the layer of the instruction
            that the engine took last.
        activity: out, array of :class:`hw.status.Activity` by :class:`hw.isa.Engine`.
        fetch: out, :class:`hw.interfaces.DramReadSignature`.
        fault: out; the address is the number of the instruction, or the number of the producer and
            the consumer of a token (16 x producer + consumer).
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "program": In(unsigned(32)),
                "busy": Out(1),
                "finished": Out(1),
                "halt": In(1),
                "engines": Out(EngineSignature().flip()).array(len(WORKERS)),
                "activity": Out(unsigned(ACTIVITY_BITS)).array(len(Engine)),
                "layers": Out(unsigned(16)).array(len(Engine)),
                "fetch": Out(DramReadSignature(config)),
                "fault": Out(FaultSignature()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the fetch unit, the waiting instructions and the token counters."""
        m = Module()
        m.submodules.fetch = fetch = InstructionFetch(self._config)
        wiring.connect(m, fetch.memory, flipped(self.fetch))
        m.d.comb += [
            fetch.start.eq(self.start & ~self.busy),
            fetch.program.eq(self.program),
        ]
        with m.If(self.start):
            m.d.sync += self.busy.eq(1)

        common = _common()
        incoming = data.View(common, fetch.instructions.payload)
        m.submodules.tokens = tokens = TokenCounters()

        # What the fetch unit offers is for; it is known long before it is offered.
        destined = {engine: Signal(name=f"for_{engine.name}") for engine in Engine}
        for engine, flag in destined.items():
            opcodes = [op for op, form in isa.FORMATS.items() if form.engine is engine]
            m.d.sync += flag.eq(incoming.opcode.matches(*opcodes))

        # CONTROL: only END waits; the fetch unit consumes the header.
        ending = Signal()
        ends = Signal()
        end = Signal(common)
        m.d.sync += self.finished.eq(ends)
        m.d.comb += [
            tokens.waits[Engine.CONTROL].eq(end.wait),
            ends.eq(ending & tokens.ready[Engine.CONTROL] & ~self.halt),
            tokens.take[Engine.CONTROL].eq(ends),
            self.activity[Engine.CONTROL].eq(
                Mux(
                    ~self.busy,
                    Activity.IDLE,
                    Mux(ending, Activity.WAIT_TOKEN, fetch.activity),
                )
            ),
        ]
        with m.If(ends):
            m.d.sync += [self.busy.eq(0), ending.eq(0)]
        with m.If(fetch.instructions.valid & destined[Engine.CONTROL] & ~ending & ~self.halt):
            m.d.comb += fetch.instructions.ready.eq(1)
            m.d.sync += [ending.eq(1), end.eq(incoming)]

        for position, engine in enumerate(WORKERS):
            port = self.engines[position]
            waiting = Signal(unsigned(8 * isa.INSTRUCTION_BYTES), name=f"waiting_{engine.name}")
            full = Signal(name=f"full_{engine.name}")
            view = data.View(common, waiting)
            m.submodules[f"signals_{engine.name.lower()}"] = signals = fifo.SyncFIFO(
                width=len(Engine), depth=INSTRUCTIONS_UNDER_WAY
            )
            ready = tokens.ready[engine]
            at_once = Signal(name=f"at_once_{engine.name}")  # taken and done in one cycle
            go = Signal(name=f"go_{engine.name}")
            offered = Signal(name=f"offered_{engine.name}")
            done = Signal(name=f"done_{engine.name}")
            m.d.sync += [
                offered.eq(full & ready & signals.w_rdy & ~go & ~self.halt),
                done.eq(port.done),
            ]
            m.d.comb += [
                tokens.waits[engine].eq(view.wait),
                port.instructions.payload.eq(waiting),
                port.instructions.valid.eq(offered),
                go.eq(port.instructions.valid & port.instructions.ready),
                tokens.take[engine].eq(go),
                signals.w_data.eq(view.signal),
                at_once.eq(go & done & ~signals.r_rdy),
                signals.w_en.eq(go & ~at_once),
                signals.r_en.eq(done & ~at_once),
            ]
            with m.If(go):
                m.d.sync += [full.eq(0), self.layers[engine].eq(view.layer)]
            with m.If(done):
                m.d.comb += tokens.give[position].eq(Mux(at_once, view.signal, signals.r_data))
            with m.If(fetch.instructions.valid & destined[engine] & ~full):
                m.d.comb += fetch.instructions.ready.eq(1)
                m.d.sync += [waiting.eq(fetch.instructions.payload), full.eq(1)]
            m.d.comb += self.activity[engine].eq(
                Mux(
                    (port.activity == Activity.IDLE) & full & ~offered,
                    Activity.WAIT_TOKEN,
                    port.activity,
                )
            )

        overflow = Signal()
        pair = Signal(8)
        self._name_pair(m, tokens, overflow, pair)
        m.d.sync += [
            self.fault.valid.eq(fetch.fault.valid | overflow),
            self.fault.code.eq(Mux(overflow, Fault.TOKEN_OVERFLOW, fetch.fault.code)),
            self.fault.address.eq(Mux(overflow, pair, fetch.fault.address)),
        ]
        return m

    def _name_pair(self, m: Module, tokens: TokenCounters, overflow: Signal, pair: Signal) -> None:
        """Say in the cycle after the next one that tokens were lost, and one pair of those."""
        found = Signal(len(PRODUCERS))  # producers of whose tokens some are lost
        consumers = [Signal(4, name=f"lost_of_{producer.name}") for producer in PRODUCERS]
        for position, consumer in enumerate(consumers):
            lost = Signal(len(Engine), name=f"lost_{position}")
            m.d.sync += [lost.eq(tokens.lost[position]), found[position].eq(lost.any())]
            for number in reversed(range(len(Engine))):
                with m.If(lost[number]):
                    m.d.sync += consumer.eq(number)
        m.d.comb += overflow.eq(found.any())
        for position in reversed(range(len(PRODUCERS))):
            with m.If(found[position]):
                m.d.comb += pair.eq(Cat(consumers[position], Const(PRODUCERS[position], 4)))
