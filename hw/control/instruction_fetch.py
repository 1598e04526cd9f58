"""Instruction fetch: the program's bytes to checked instructions."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw import isa
from hw.config import DnaConfig
from hw.interfaces import DramReadSignature, FaultSignature
from hw.isa import Opcode
from hw.isa.layout import instruction_layout
from hw.status import ACTIVITY_BITS, Activity, Fault

_BITS = 8 * isa.INSTRUCTION_BYTES


class InstructionFetch(wiring.Component):
    """Reads a program and checks every instruction before anyone sees it.

    The header is read first, by itself; it says how many instructions follow. A program fills whole
    DRAM words; what is behind its last instruction is ignored.

    Latency: an instruction is offered in the 2nd cycle after its last byte came. Rate: one per
    2 + 64 / dram_bytes_per_cycle cycles at best.

    Stall: an instruction stays on offer until it is taken; DRAM words wait meanwhile.

    Args:
        config: uses ``dram_bytes_per_cycle`` and ``digest``.

    Ports:
        start: in, begin. The unit stays where it is after a fault.
        program: in, unsigned(32), byte offset of the program.
        instructions: out, stream of unsigned(512); HEADER is not among them.
        memory: out, :class:`hw.interfaces.DramReadSignature`.
        activity: out, :class:`hw.status.Activity`.
        fault: out; the address is the number of the instruction.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        super().__init__(
            {
                "start": In(1),
                "program": In(unsigned(32)),
                "instructions": Out(stream.Signature(unsigned(_BITS))),
                "memory": Out(DramReadSignature(config)),
                "activity": Out(unsigned(ACTIVITY_BITS)),
                "fault": Out(FaultSignature()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the word gearbox, the checks and the sequence header, rest."""
        m = Module()
        word_bytes = self._config.dram_bytes_per_cycle
        words_each = max(1, isa.INSTRUCTION_BYTES // word_bytes)
        parts = max(1, word_bytes // isa.INSTRUCTION_BYTES)

        position = Signal(32)  # number of the instruction in the buffer
        length = Signal(32, init=1)
        buffer = Signal(max(_BITS, 8 * word_bytes))
        gathered = Signal(range(max(words_each, parts) + 1))  # words, or instructions, in buffer
        current = Signal(unsigned(_BITS))
        m.d.comb += current.eq(buffer[:_BITS])

        header = data.View(instruction_layout(Opcode.HEADER), current)
        total = Signal(32)
        code = Signal(8)
        is_header = Signal()
        terms = [current.word_select(index, 32) for index in range(_BITS // 32 - 1)]
        known = [opcode for opcode in Opcode if opcode is not Opcode.HEADER]
        m.d.comb += [
            total.eq(reduce(add, terms) + isa.CHECKSUM_SEED),
            is_header.eq(position == 0),
        ]
        # Later assignments win, so the most basic complaint comes last.
        ends_early = (header.opcode == Opcode.END) != (position == length - 1)
        with m.If(is_header):
            with m.If(header.length < 2):
                m.d.comb += code.eq(Fault.TRUNCATED)
            with m.If(header.config != int(self._config.digest, 16)):
                m.d.comb += code.eq(Fault.BAD_CONFIG)
            with m.If(header.isa_version != isa.ISA_VERSION):
                m.d.comb += code.eq(Fault.BAD_VERSION)
            with m.If((header.opcode != Opcode.HEADER) | (header.magic != isa.MAGIC)):
                m.d.comb += code.eq(Fault.BAD_MAGIC)
        with m.Else():
            with m.If(ends_early):
                m.d.comb += code.eq(Fault.TRUNCATED)
            with m.If(~header.opcode.matches(*known)):
                m.d.comb += code.eq(Fault.BAD_OPCODE)
        with m.If(total != header.checksum):
            m.d.comb += code.eq(Fault.BAD_CHECKSUM)

        memory = self.memory
        word_bits = word_bytes.bit_length() - 1
        whole = Signal(32)  # DRAM words of the program, once the header is known
        m.d.comb += [
            self.fault.code.eq(code),
            self.fault.address.eq(position),
            self.instructions.payload.eq(current),
            self.activity.eq(Activity.BUSY),
            whole.eq((header.length * isa.INSTRUCTION_BYTES + word_bytes - 1) >> word_bits),
        ]

        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.activity.eq(Activity.IDLE)
                with m.If(self.start):
                    m.d.sync += [position.eq(0), gathered.eq(0)]
                    m.next = "ask for header"
            with m.State("ask for header"):
                m.d.comb += [
                    memory.requests.valid.eq(1),
                    memory.requests.payload.offset.eq(self.program),
                    memory.requests.payload.length.eq(words_each),
                ]
                with m.If(memory.requests.ready):
                    m.next = "gather"
            with m.State("gather"):
                m.d.comb += [
                    memory.words.ready.eq(1),
                    self.activity.eq(Activity.WAIT_DRAM),
                ]
                with m.If(memory.words.valid):
                    if words_each > 1:
                        shifted = (buffer >> 8 * word_bytes)[: _BITS - 8 * word_bytes]
                        m.d.sync += buffer.eq(
                            shifted | (memory.words.payload << (_BITS - 8 * word_bytes))
                        )
                        m.d.sync += gathered.eq(gathered + 1)
                        with m.If(gathered == words_each - 1):
                            m.next = "check"
                    else:
                        m.d.sync += [buffer.eq(memory.words.payload), gathered.eq(parts)]
                        m.next = "check"
            with m.State("check"):
                with m.If(code != Fault.NONE):
                    m.d.comb += self.fault.valid.eq(1)
                with m.Elif(is_header):
                    m.d.sync += length.eq(header.length)
                    m.next = "ask for rest"
                with m.Else():
                    m.d.comb += self.instructions.valid.eq(1)
                    with m.If(self.instructions.ready):
                        self._advance(m, position, length, buffer, gathered, parts)
                    with m.Else():
                        m.d.comb += self.activity.eq(Activity.WAIT_OUTPUT)
            with m.State("ask for rest"):
                m.d.comb += [
                    memory.requests.valid.eq(whole != words_each),
                    memory.requests.payload.offset.eq(self.program + words_each * word_bytes),
                    memory.requests.payload.length.eq(whole - words_each),
                ]
                with m.If(memory.requests.ready | ~memory.requests.valid):
                    self._advance(m, position, length, buffer, gathered, parts)
        return m

    def _advance(
        self,
        m: Module,
        position: Signal,
        length: Signal,
        buffer: Signal,
        gathered: Signal,
        parts: int,
    ) -> None:
        """Go on to the next instruction: in the buffer, in memory, or none."""
        m.d.sync += [position.eq(position + 1), gathered.eq(Mux(parts > 1, gathered - 1, 0))]
        if parts > 1:
            m.d.sync += buffer.eq(buffer >> _BITS)
        with m.If((position != 0) & (position == length - 1)):
            m.next = "idle"
        if parts > 1:
            with m.Elif(gathered > 1):
                m.next = "check"
        with m.Else():
            m.next = "gather"
