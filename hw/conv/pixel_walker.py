"""The outer half of a convolution's loop nest: the windows of the pixels of every pass."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.config import DnaConfig
from hw.conv.slice_stepper import pass_layout
from hw.interfaces import WindowReadSignature
from hw.isa import Opcode
from hw.isa.layout import instruction_layout

_CONV = instruction_layout(Opcode.CONV)
_EXTENT = unsigned(16)
"""An input row or column modulo 2^16: those before the image are far behind it."""


class _Place:
    """Where the walk is: a pixel's window, and what is left of the row of pixels."""

    def __init__(self, config: DnaConfig, name: str) -> None:
        address = unsigned(config.feature_address_bits)
        shapes = {
            "columns_left": _CONV.members["out_width"],
            "y": _EXTENT,
            "x": _EXTENT,
            "row_address": address,
            "address": address,
        }
        self.signals = {key: Signal(shape, name=f"{name}_{key}") for key, shape in shapes.items()}

    def __getitem__(self, key: str) -> Signal:
        return self.signals[key]

    def move(self, to: _Place) -> list[Any]:
        """Statements that bring this place to another."""
        return [signal.eq(to[key]) for key, signal in self.signals.items()]


def _column_stride(instruction: Any) -> Value:
    """Input columns from one output to the next."""
    return Mux(instruction.column_stride == 0, instruction.stride, instruction.column_stride)


class PixelWalker(wiring.Component):
    """Asks for the window of every pixel of every pass, with addresses stepped, not computed.

    The first window's address and the steps of the next instruction are worked out while this one
    runs, by one multiplier, a product a cycle.

    Rate: a window a cycle, without a bubble between passes as long as they are there.

    Latency: 5 cycles from the first instruction to its first window, 1 from ``ended`` to that of
    the next one when it and its first pass are there already; 1 from a pass to its first window.

    Stall: windows wait for the memory.

    Args:
        config: uses ``modules`` and ``feature_words``.

    Ports:
        instructions: in, stream of ``instruction_layout(Opcode.CONV)``, fields in range.
        passes: in, stream of :func:`hw.conv.slice_stepper.pass_layout`.
        requests: out, as in :class:`WindowReadSignature`; tag is first, last, final from bit 0.
        running: out, an instruction has been taken and ``ended`` was not high yet.
        closing: out, all windows of the instruction have been taken.
        ended: in, high for one cycle of ``closing``: the next instruction may begin.
        split: out, log2 k of the instruction.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        requests = WindowReadSignature(config).members["requests"].signature
        super().__init__(
            {
                "instructions": In(stream.Signature(_CONV)),
                "passes": In(stream.Signature(pass_layout(config))),
                "requests": Out(requests),
                "running": Out(1),
                "closing": Out(1),
                "ended": In(1),
                "split": Out(range(exact_log2(config.modules) + 1)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the walk, the pass that it is in, and the lanes of its windows."""
        m = Module()
        config = self._config
        new, current, request = self.instructions.payload, self.passes.payload, self.requests
        address_shape = unsigned(config.feature_address_bits)
        fields = {
            name: Signal.like(new[name], name=name)
            for name in ("stride", "in_height", "in_width", "tile_pixels", "last_pixels")
        }
        fill = Signal.like(new.in_zero_point)
        column_stride = Signal.like(new.column_stride)
        step_x, step_y = Signal(address_shape), Signal(address_shape)
        # The first pixel of the image, the first one of the tile, this one and the next.
        zero, start, here, after = (
            _Place(config, name) for name in ("zero", "start", "here", "after")
        )
        m.d.comb += [
            *after.move(here),
            after["columns_left"].eq(here["columns_left"] - 1),
            after["x"].eq(here["x"] + column_stride),
            after["address"].eq(here["address"] + step_x),
        ]
        with m.If(here["columns_left"] == 0):
            m.d.comb += [
                after["columns_left"].eq(zero["columns_left"]),
                after["y"].eq(here["y"] + fields["stride"]),
                after["x"].eq(zero["x"]),
                after["row_address"].eq(here["row_address"] + step_y),
                after["address"].eq(here["row_address"] + step_y),
            ]

        active = Signal()
        lanes = Signal.like(current.lanes)
        first, final, shorter, closes = (
            Signal(name=name) for name in ("first", "final", "shorter", "closes")
        )
        pixels_left = Signal.like(new.tile_pixels)
        asked = Signal()
        ends_pass = Signal()
        m.d.comb += [
            request.valid.eq(active),
            asked.eq(request.valid & request.ready),
            ends_pass.eq(asked & (pixels_left == 0)),
            self.passes.ready.eq(self.running & ~self.closing & (~active | (ends_pass & ~closes))),
        ]
        with m.If(asked):
            m.d.sync += [*here.move(after), pixels_left.eq(pixels_left - 1)]
        with m.If(ends_pass):
            m.d.sync += [active.eq(0), self.closing.eq(closes)]
            with m.If(~final):
                m.d.sync += here.move(start)
            with m.Elif(shorter):
                m.d.sync += [*here.move(zero), *start.move(zero)]
            with m.Else():
                m.d.sync += start.move(after)
        with m.If(self.passes.valid & self.passes.ready):
            pixels = Mux(current.shorter, fields["last_pixels"], fields["tile_pixels"])
            m.d.sync += [
                active.eq(1),
                lanes.eq(current.lanes),
                first.eq(current.first),
                final.eq(current.final),
                shorter.eq(current.shorter),
                closes.eq(current.closes),
                pixels_left.eq(pixels - 1),
            ]

        prepared, origin, next_step_x, next_step_y = self._prepare(m)
        m.d.comb += self.instructions.ready.eq(prepared & (~self.running | self.ended))
        with m.If(self.ended):
            m.d.sync += [self.closing.eq(0), self.running.eq(0)]
        with m.If(self.instructions.valid & self.instructions.ready):
            m.d.sync += self.running.eq(1)
            m.d.sync += [field.eq(new[name]) for name, field in fields.items()]
            m.d.sync += [
                fill.eq(new.in_zero_point),
                column_stride.eq(_column_stride(new)),
                self.split.eq(new.split),
            ]
            m.d.sync += [step_x.eq(next_step_x), step_y.eq(next_step_y)]
            for place in (zero, start, here):
                m.d.sync += [
                    place["columns_left"].eq(new.out_width - 1),
                    place["y"].eq(-new.pad_top),
                    place["x"].eq(-new.pad_left),
                    place["row_address"].eq(origin),
                    place["address"].eq(origin),
                ]

        window = request.payload
        m.d.comb += [
            window.fill.eq(fill),
            window.tag.eq(Cat(first, pixels_left == 0, final)),
        ]
        for index, lane in enumerate(lanes):
            y = Signal(_EXTENT, name=f"y_{index}")
            x = Signal(_EXTENT, name=f"x_{index}")
            inside = (y < fields["in_height"]) & (x < fields["in_width"])
            m.d.comb += [
                y.eq(here["y"] + lane.y),
                x.eq(here["x"] + lane.x),
                window.addresses[index].eq(here["address"] + lane.offset),
                window.enable[index].eq(lane.enable & inside),
            ]
        return m

    def _prepare(self, m: Module) -> tuple[Value, Signal, Signal, Signal]:
        """Work out what the instruction on offer needs: (all is there, origin, steps x and y)."""
        new = self.instructions.payload
        address_shape = unsigned(self._config.feature_address_bits)
        origin, step_x, step_y = (
            Signal(address_shape, name=name) for name in ("origin", "next_step_x", "next_step_y")
        )
        column_stride = _column_stride(new)
        turns = (
            (new.pad_top, new.in_pitch, origin, new.in_base),
            (new.pad_left, new.in_words, origin, origin),
            (column_stride, new.in_words, step_x, None),
            (new.stride, new.in_pitch, step_y, None),
        )
        turn = Signal(range(len(turns) + 1))
        small = Signal.like(new.pad_top)
        large = Signal.like(new.in_pitch)
        product = Signal(address_shape)
        m.d.comb += product.eq(small * large)
        with m.Switch(turn):
            for number, (factor, other, target, minuend) in enumerate(turns):
                with m.Case(number):
                    m.d.comb += [small.eq(factor), large.eq(other)]
                    m.d.sync += target.eq(product if minuend is None else minuend - product)
        with m.If(self.instructions.valid):
            with m.If(self.instructions.ready):
                m.d.sync += turn.eq(0)
            with m.Elif(turn != len(turns)):
                m.d.sync += turn.eq(turn + 1)
        return turn == len(turns), origin, step_x, step_y
