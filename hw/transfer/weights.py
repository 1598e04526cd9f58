"""The WEIGHTS engine: the weight stream, from DRAM into a FIFO."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import Out

from hw.config import DnaConfig
from hw.interfaces import DramReadSignature, EngineSignature
from hw.isa import Opcode
from hw.isa.layout import instruction_layout
from hw.memory.buffered_fifo import BufferedFifo
from hw.microarchitecture import OUTSTANDING_WEIGHTS
from hw.status import Activity, Fault


class WeightEngine(wiring.Component):
    """Executes WEIGHTS: requests DRAM words and keeps them in a FIFO of ``weight_fifo_words``.

    An instruction is copied, checked, and taken in the cycle after its request is, so that the
    requests of the next ones follow soon, up to ``OUTSTANDING_WEIGHTS``. It is done when its last
    word is in the FIFO.

    Rate: one DRAM word per cycle. Latency: 2 cycles from ``memory.words`` to ``words``.

    Stall: words wait in the memory path while the FIFO is full.

    Faults: ``BAD_FIELD`` for a length of 0 or an offset that is not aligned to a DRAM word, with
    the layer as the address.

    Args:
        config: uses ``dram_bytes_per_cycle`` and ``weight_fifo_words``.

    Ports:
        engine: out, :class:`EngineSignature`. ``WAIT_DRAM``: words are on the way, none came in
            this cycle; ``WAIT_OUTPUT``: the FIFO is full.
        memory: out, :class:`DramReadSignature`.
        words: out, stream of unsigned(8 x dram_bytes_per_cycle).
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "engine": Out(EngineSignature()),
                "memory": Out(DramReadSignature(config)),
                "words": Out(stream.Signature(unsigned(8 * config.dram_bytes_per_cycle))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the two queues, that of words and that of the lengths to come."""
        m = Module()
        engine, memory = self.engine, self.memory
        weights = data.View(instruction_layout(Opcode.WEIGHTS), engine.instructions.payload)
        length_bits = len(weights.length)
        m.submodules.fifo = fifo = BufferedFifo(
            width=len(self.words.payload), depth=self._config.weight_fifo_words
        )
        m.submodules.lengths = lengths = BufferedFifo(width=length_bits, depth=OUTSTANDING_WEIGHTS)

        # One request per instruction, and its length into the queue with it.
        bad, offered = Signal(), Signal()
        request = memory.requests
        requested = request.valid & request.ready
        m.d.comb += [lengths.w_en.eq(requested), lengths.w_data.eq(request.payload.length)]
        m.d.sync += [
            request.payload.offset.eq(weights.dram),
            request.payload.length.eq(weights.length),
            bad.eq((weights.length == 0) | (weights.dram % self._config.dram_bytes_per_cycle != 0)),
        ]
        m.d.comb += offered.eq(engine.instructions.valid & ~engine.fault.valid)
        with m.FSM():
            with m.State("wait"), m.If(engine.instructions.valid):
                m.next = "check"
            with m.State("check"):
                with m.If(bad):
                    m.d.sync += [
                        engine.fault.valid.eq(1),
                        engine.fault.code.eq(Fault.BAD_FIELD),
                        engine.fault.address.eq(weights.layer),
                    ]
                    m.next = "refuse"
                with m.Else():
                    m.next = "ask"
            with m.State("ask"):
                m.d.comb += request.valid.eq(lengths.w_rdy)
                with m.If(requested):
                    m.next = "take"
            with m.State("take"):
                m.d.comb += [engine.instructions.ready.eq(1), offered.eq(0)]
                m.next = "wait"
            with m.State("refuse"):
                pass

        # Words into the FIFO, counted.
        number = Signal(length_bits, init=1)  # of the next word
        word_taken = Signal()
        m.d.comb += [
            fifo.w_en.eq(memory.words.valid),
            fifo.w_data.eq(memory.words.payload),
            memory.words.ready.eq(fifo.w_rdy),
            word_taken.eq(memory.words.valid & memory.words.ready),
            engine.done.eq(word_taken & (number == lengths.r_data)),
            lengths.r_en.eq(engine.done),
            self.words.valid.eq(fifo.r_rdy),
            self.words.payload.eq(fifo.r_data),
            fifo.r_en.eq(self.words.ready),
        ]
        with m.If(engine.done):
            m.d.sync += number.eq(1)
        with m.Elif(word_taken):
            m.d.sync += number.eq(number + 1)

        expected = Signal()
        m.d.comb += expected.eq(lengths.level != 0)
        with m.If(requested | word_taken):
            m.d.comb += engine.activity.eq(Activity.BUSY)
        with m.Elif(expected & ~fifo.w_rdy):
            m.d.comb += engine.activity.eq(Activity.WAIT_OUTPUT)
        with m.Elif(expected | offered):
            m.d.comb += engine.activity.eq(Activity.WAIT_DRAM)
        with m.Else():
            m.d.comb += engine.activity.eq(Activity.IDLE)
        return m
