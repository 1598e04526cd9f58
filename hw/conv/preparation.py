"""What CONV works out about an instruction while the one before still runs."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.arithmetic.serial_multiplier import SerialMultiplier
from hw.config import DnaConfig
from hw.interfaces import FaultSignature
from hw.isa import Opcode
from hw.isa.layout import instruction_layout
from hw.status import Fault

_CONV = instruction_layout(Opcode.CONV)


class Preparation(wiring.Component):
    """Judges the CONV instruction on offer and multiplies out the steps of its addresses.

    Latency: ``judged`` 3 cycles after an instruction is on offer, ``prepared`` 6.

    Stall: what is worked out stands until the instruction is taken.

    Args:
        config: uses ``modules``, ``feature_words`` and ``accumulation_depth``.

    Ports:
        instruction: in, ``instruction_layout(Opcode.CONV)``; stays as it is until it is ``taken``.
        offered: in, there is one. taken: in, high in the last cycle of it.
        judged: out, there is nothing wrong with it.
        prepared: out, besides, the other outputs are those of this instruction.
        origin: out, unsigned, address of the window of pixel (0, 0).
        column_stride: out, input columns from one output to the next.
        step_x, step_y: out, unsigned, feature words from a window to the next in its row, and from
            row to row.
        fault: out, :class:`FaultSignature`, about the instruction on offer, which is not judged
            good: BAD_SPLIT for a ``split`` above log2 G, BAD_FIELD for a count of zero, for
            neighbours of no words, for more pixels than a tile of the accumulation memory holds, or
            for ``passes`` that do not cover the slices exactly. Address: the instruction's layer.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        address = unsigned(config.feature_address_bits)
        super().__init__(
            {
                "instruction": In(_CONV),
                "offered": In(1),
                "taken": In(1),
                "judged": Out(1),
                "prepared": Out(1),
                "origin": Out(address),
                "column_stride": Out(_CONV.members["column_stride"]),
                "step_x": Out(address),
                "step_y": Out(address),
                "fault": Out(FaultSignature()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build a counter of turns, the multipliers beside it, and the judge."""
        m = Module()
        new = self.instruction
        products = SerialMultiplier.STEPS
        turn = Signal(range(products + 2))
        with m.If(self.taken):
            m.d.sync += [turn.eq(0), self.prepared.eq(0)]
        with m.Elif(self.offered & (turn != products + 1)):
            m.d.sync += turn.eq(turn + 1)

        stride = Mux(new.column_stride == 0, new.stride, new.column_stride)
        pitch, words = (Signal.like(self.origin, name=name) for name in ("pitch", "words"))
        across = Signal.like(self.origin)
        multipliers = [
            (SerialMultiplier(m, self.origin, new.pad_top, subtract=True), new.in_base, pitch),
            (SerialMultiplier(m, across, new.pad_left, subtract=False), 0, words),
            (SerialMultiplier(m, self.step_x, stride, subtract=False), 0, words),
            (SerialMultiplier(m, self.step_y, new.stride, subtract=False), 0, pitch),
        ]
        with m.If(turn == 0):
            m.d.sync += [pitch.eq(new.in_pitch), words.eq(new.in_words)]
            m.d.sync += self.column_stride.eq(stride)
            m.d.sync += [multiplier.begin(start) for multiplier, start, _ in multipliers]
        with m.Elif(turn <= products):
            m.d.sync += [pitch.eq(pitch << 2), words.eq(words << 2)]
            m.d.sync += [multiplier.step(other) for multiplier, _, other in multipliers]
        with m.Elif(~self.prepared & ~self.taken):
            m.d.sync += [self.origin.eq(self.origin - across), self.prepared.eq(self.judged)]
        self._judge(m, turn)
        return m

    def _judge(self, m: Module, turn: Signal) -> None:
        """Look for what would not end or not fit: first at the fields, then at the result."""
        config, new = self._config, self.instruction
        counts = (
            new.in_words,
            new.in_height,
            new.in_width,
            new.kernel_height,
            new.kernel_width,
            new.stride,
            new.out_width,
            new.channel_tiles,
            new.pixel_tiles,
            new.tile_pixels,
            new.last_pixels,
            new.slices,
            new.passes,
        )
        wrong = Signal(len(counts) + 3)
        covering = Signal(len(new.slices) + 1)
        bad_split, bad_field = Signal(), Signal()
        m.d.sync += [
            wrong.eq(
                Cat(
                    *(count == 0 for count in counts),
                    new.tile_pixels > config.accumulation_depth,
                    new.last_pixels > config.accumulation_depth,
                    (new.neighbours != 0) & (new.pixel_words == 0),
                )
            ),
            covering.eq((new.slices + ((1 << new.split) - 1)) >> new.split),
            bad_split.eq(new.split > exact_log2(config.modules)),
            bad_field.eq(wrong.any() | (new.passes != covering)),
        ]
        with m.If(self.taken):
            m.d.sync += self.judged.eq(0)
        with m.Elif(turn == 2):
            m.d.sync += [
                self.judged.eq(~bad_split & ~bad_field),
                self.fault.valid.eq(bad_split | bad_field),
                self.fault.code.eq(Mux(bad_split, Fault.BAD_SPLIT, Fault.BAD_FIELD)),
                self.fault.address.eq(new.layer),
            ]
