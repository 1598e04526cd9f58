"""Instruction fetch: the program's bytes to checked instructions."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw import isa
from hw.config import DnaConfig
from hw.control.checksum import ChecksumAdder, tree_levels
from hw.interfaces import DramReadSignature, FaultSignature
from hw.isa import Opcode
from hw.isa.layout import instruction_layout
from hw.status import ACTIVITY_BITS, Activity, Fault

_BITS = 8 * isa.INSTRUCTION_BYTES


def settle_cycles(config: DnaConfig) -> int:
    """Cycles from the last byte of an instruction until all is known that it is judged by."""
    return tree_levels(min(config.dram_bytes_per_cycle, isa.INSTRUCTION_BYTES)) + 3


class InstructionFetch(wiring.Component):
    """Reads a program and checks every instruction before anyone sees it.

    The header is read first, by itself; it says how many instructions follow. A program fills whole
    DRAM words; what is behind its last instruction is ignored.

    The checksum is added while words arrive; what it and the fields are compared with goes to
    registers, by which the instruction is judged in a cycle of its own.

    Latency: an instruction is offered ``settle_cycles`` + 2 cycles after its last byte came. Rate:
    one per ``settle_cycles`` + 2 + 64 / dram_bytes_per_cycle cycles at best.

    Stall: an instruction stays on offer until it is taken; DRAM words wait meanwhile. The payload
    stands for more than two cycles before it is offered.

    Args:
        config: uses ``dram_bytes_per_cycle``, ``depthwise_words`` and ``digest``.

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
        memory = self.memory

        position = Signal(32)  # number of the instruction in the buffer
        last_position = Signal(32)
        buffer = Signal(max(_BITS, 8 * word_bytes))
        gathered = Signal(range(max(words_each, parts) + 1))  # words, or instructions, in buffer
        current = Signal(unsigned(_BITS))
        arrived = Signal()  # the last piece of ``current`` is new in this cycle
        complete = Signal()
        advance = Signal()
        m.d.comb += current.eq(buffer[:_BITS])
        piece_bytes = min(word_bytes, isa.INSTRUCTION_BYTES)
        m.submodules.checksum = checksum = ChecksumAdder(piece_bytes=piece_bytes)
        m.d.sync += arrived.eq(0)
        m.d.comb += [
            checksum.add.eq(arrived),
            checksum.last.eq(complete),
            checksum.piece.eq(current[_BITS - 8 * piece_bytes :]),
            checksum.clear.eq(self.start | advance),
        ]

        header = data.View(instruction_layout(Opcode.HEADER), current)
        first = Signal()  # the header is in the buffer
        at_end = Signal()  # the last instruction is
        code = self._judge(m, header, checksum.total, first=first, at_end=at_end)
        end_position = Signal(32)  # if ``current`` is the header
        rest_offset = Signal(32)
        rest = Signal(32)  # DRAM words behind the header's
        if parts > 1:
            m.d.comb += rest.eq(last_position >> (parts.bit_length() - 1))
        else:
            m.d.comb += rest.eq(last_position << (words_each.bit_length() - 1))
        m.d.sync += [
            first.eq(position == 0),
            at_end.eq(position == last_position),
            end_position.eq(header.length - 1),
            rest_offset.eq(self.program + words_each * word_bytes),
        ]

        m.d.comb += [
            self.fault.address.eq(position),
            self.instructions.payload.eq(current),
            self.activity.eq(Activity.BUSY),
        ]
        settling = Signal(range(settle_cycles(self._config)))

        def go_on() -> None:
            """To the next instruction: in the buffer, in memory, or none."""
            m.d.comb += advance.eq(1)
            with m.If(at_end & ~first):
                m.next = "idle"
            if parts > 1:
                with m.Elif(gathered > 1):
                    m.d.sync += arrived.eq(1)
                    m.next = "settle"
            with m.Else():
                m.next = "gather"

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
                    m.d.sync += [arrived.eq(1), complete.eq(gathered == words_each - 1)]
                    if words_each > 1:
                        shifted = (buffer >> 8 * word_bytes)[: _BITS - 8 * word_bytes]
                        m.d.sync += [
                            buffer.eq(shifted | (memory.words.payload << (_BITS - 8 * word_bytes))),
                            gathered.eq(gathered + 1),
                        ]
                        with m.If(gathered == words_each - 1):
                            m.next = "settle"
                    else:
                        m.d.sync += [buffer.eq(memory.words.payload), gathered.eq(parts)]
                        m.next = "settle"
            with m.State("settle"):
                m.d.sync += settling.eq(settling + 1)
                with m.If(settling == settle_cycles(self._config) - 1):
                    m.d.sync += settling.eq(0)
                    m.next = "judge"
            with m.State("judge"):
                m.d.sync += self.fault.code.eq(code)
                with m.If(first):
                    m.d.sync += last_position.eq(end_position)
                with m.If(code != Fault.NONE):
                    m.next = "refuse"
                with m.Elif(first):
                    m.next = "measure"
                with m.Else():
                    m.next = "offer"
            with m.State("refuse"):
                m.d.comb += self.fault.valid.eq(1)
            with m.State("offer"):
                m.d.comb += self.instructions.valid.eq(1)
                with m.If(self.instructions.ready):
                    go_on()
                with m.Else():
                    m.d.comb += self.activity.eq(Activity.WAIT_OUTPUT)
            with m.State("measure"):
                with m.If(rest != 0):
                    m.next = "ask for rest"
                with m.Else():
                    go_on()
            with m.State("ask for rest"):
                m.d.comb += [
                    memory.requests.valid.eq(1),
                    memory.requests.payload.offset.eq(rest_offset),
                    memory.requests.payload.length.eq(rest),
                ]
                with m.If(memory.requests.ready):
                    go_on()
        with m.If(advance):
            m.d.sync += [
                position.eq(position + 1),
                gathered.eq(Mux(parts > 1, gathered - 1, 0)),
            ]
            if parts > 1:
                m.d.sync += buffer.eq(buffer >> _BITS)
        return m

    def _judge(
        self,
        m: Module,
        header: data.View[data.StructLayout],
        total: Value,
        *,
        first: Signal,
        at_end: Signal,
    ) -> Signal:
        """The fault of the instruction in ``header``, all of whose comparisons are registers."""
        code = Signal(8)
        missing = {Opcode.HEADER}
        if not self._config.depthwise_words:
            missing.add(Opcode.DEPTHWISE)
        known = [opcode for opcode in Opcode if opcode not in missing]
        complaints = {
            "too_short": header.length < 2,
            "other_config": header.config != int(self._config.digest, 16),
            "other_version": header.isa_version != isa.ISA_VERSION,
            "no_header": header.opcode != Opcode.HEADER,
            "other_magic": header.magic != isa.MAGIC,
            "unknown": ~header.opcode.matches(*known),
            "is_end": header.opcode == Opcode.END,
            "damaged": total != header.checksum,
        }
        flags = {name: Signal(name=name) for name in complaints}
        m.d.sync += [flags[name].eq(complaint) for name, complaint in complaints.items()]
        # Later assignments win, so the most basic complaint comes last.
        with m.If(first):
            with m.If(flags["too_short"]):
                m.d.comb += code.eq(Fault.TRUNCATED)
            with m.If(flags["other_config"]):
                m.d.comb += code.eq(Fault.BAD_CONFIG)
            with m.If(flags["other_version"]):
                m.d.comb += code.eq(Fault.BAD_VERSION)
            with m.If(flags["no_header"] | flags["other_magic"]):
                m.d.comb += code.eq(Fault.BAD_MAGIC)
        with m.Else():
            with m.If(flags["is_end"] != at_end):
                m.d.comb += code.eq(Fault.TRUNCATED)
            with m.If(flags["unknown"]):
                m.d.comb += code.eq(Fault.BAD_OPCODE)
        with m.If(flags["damaged"]):
            m.d.comb += code.eq(Fault.BAD_CHECKSUM)
        return code
