"""The outer half of a convolution's loop nest: the windows of the pixels of every pass."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import DnaConfig
from hw.conv.neighbours import EXTENT
from hw.conv.slice_stepper import pass_layout
from hw.interfaces import WindowReadSignature, split_shape
from hw.isa import Opcode
from hw.isa.layout import instruction_layout
from hw.microarchitecture import ACCUMULATION_LATENCY

_CONV = instruction_layout(Opcode.CONV)


def entry_layout(config: DnaConfig) -> data.StructLayout:
    """A pixel that is about to enter the modules, without its data.

    Members:
        begins: the first pixel of a tile.
        first, last, final: as in :func:`hw.streams.layouts.pixel_layout`.
        split: log2 k of the instruction.
    """
    return data.StructLayout(
        {"begins": 1, "first": 1, "last": 1, "final": 1, "split": split_shape(config)}
    )


class _Place:
    """Where the walk is: a pixel's window, and what is left of the row of pixels."""

    def __init__(self, config: DnaConfig, name: str) -> None:
        address = unsigned(config.feature_address_bits)
        shapes = {
            "columns_left": _CONV.members["out_width"],
            "ends_row": unsigned(1),
            "y": EXTENT,
            "x": EXTENT,
            "row_address": address,
            "address": address,
        }
        self.signals = {key: Signal(shape, name=f"{name}_{key}") for key, shape in shapes.items()}

    def __getitem__(self, key: str) -> Signal:
        return self.signals[key]

    def move(self, to: _Place) -> list[Any]:
        """Statements that bring this place to another."""
        return [signal.eq(to[key]) for key, signal in self.signals.items()]


class _Pixels:
    """How many pixels a pass has behind the first, and how long the next one must wait for them."""

    def __init__(self, count: Value, name: str) -> None:
        self.more = Signal.like(count, name=f"{name}_more")
        self.rest = Signal(range(ACCUMULATION_LATENCY), name=f"{name}_rest")
        self._count = count

    def load(self) -> list[Any]:
        """Statements that read the instruction's count."""
        most = ACCUMULATION_LATENCY - 1
        more = self._count - 1
        return [self.more.eq(more), self.rest.eq(Mux(self._count > most, 0, most - more))]


class PixelWalker(wiring.Component):
    """Asks for the window of every pixel of every pass, with addresses stepped, not computed.

    A pixel that is taken from ``pixels`` is in the modules ``ENTRY_LATENCY`` cycles later without
    asking anybody again; its window is requested after ``WALK_LATENCY`` of them.

    The accumulator of a pixel may be asked for again only ``ACCUMULATION_LATENCY`` cycles later, so
    behind a pass of fewer pixels there is a pause for the rest.

    Rate: a window a cycle, without a bubble between passes as long as they are there.

    Latency: an instruction is taken in the cycle after the last pixel of the one before at best,
    its first pass in the next and its first pixel in the one after that. 1 from a pass to its first
    pixel.

    Stall: a pixel waits until it is taken.

    Args:
        config: uses ``modules`` and ``feature_words``.

    Ports:
        instructions: in, stream of ``instruction_layout(Opcode.CONV)``, fields in range.
        origin, column_stride, step_x, step_y: in, as from :class:`hw.conv.preparation.Preparation`
            for the instruction on offer.
        passes: in, stream of :func:`hw.conv.slice_stepper.pass_layout`.
        pixels: out, stream of :func:`entry_layout`.
        requests: out, as in :class:`WindowReadSignature`.
        running: out, an instruction has been taken and not all of its pixels.
        ends: out, the last pixel of an instruction is taken.
    """

    def __init__(self, config: DnaConfig) -> None:
        self._config = config
        requests = WindowReadSignature(config).members["requests"].signature
        address = unsigned(config.feature_address_bits)
        super().__init__(
            {
                "instructions": In(stream.Signature(_CONV)),
                "origin": In(address),
                "column_stride": In(_CONV.members["column_stride"]),
                "step_x": In(address),
                "step_y": In(address),
                "passes": In(stream.Signature(pass_layout(config))),
                "pixels": Out(stream.Signature(entry_layout(config))),
                "requests": Out(requests),
                "running": Out(1),
                "ends": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the walk, the pass that it is in, and the modules' shares of its windows."""
        m = Module()
        config = self._config
        new, current, pixel = self.instructions.payload, self.passes.payload, self.pixels.payload
        stride = Signal.like(new.stride)
        column_stride, step_x, step_y = (
            Signal.like(getattr(self, name), name=name)
            for name in ("column_stride", "step_x", "step_y")
        )
        tile, last_tile = _Pixels(new.tile_pixels, "tile"), _Pixels(new.last_pixels, "last_tile")
        # The first pixel of the image, the first one of the tile, this one and the next.
        zero, start, here, after = (
            _Place(config, name) for name in ("zero", "start", "here", "after")
        )
        m.d.comb += [
            *after.move(here),
            after["columns_left"].eq(here["columns_left"] - 1),
            after["ends_row"].eq(here["columns_left"] == 1),
            after["x"].eq(here["x"] + column_stride),
            after["address"].eq(here["address"] + step_x),
        ]
        with m.If(here["ends_row"]):
            m.d.comb += [
                after["columns_left"].eq(zero["columns_left"]),
                after["ends_row"].eq(zero["ends_row"]),
                after["y"].eq(here["y"] + stride),
                after["x"].eq(zero["x"]),
                after["row_address"].eq(here["row_address"] + step_y),
                after["address"].eq(here["row_address"] + step_y),
            ]

        active = Signal()
        shares = Signal.like(current.shares)
        shorter, closes = (Signal(name=name) for name in ("shorter", "closes"))
        pixels_left = Signal.like(tile.more)
        rest = Signal.like(tile.rest)
        next_rest = Signal.like(rest)
        waiting = Signal()  # for the rest, if there is any
        taken, ends_pass = Signal(), Signal()
        m.d.comb += [
            self.pixels.valid.eq(active & ~waiting),
            taken.eq(self.pixels.valid & self.pixels.ready),
            ends_pass.eq(taken & pixel.last),
            self.ends.eq(ends_pass & closes),
            self.passes.ready.eq(self.running & (~active | (ends_pass & ~closes))),
        ]
        m.d.sync += waiting.eq(rest > 1)
        with m.If(waiting):
            m.d.sync += rest.eq(rest - 1)
        with m.If(taken):
            m.d.sync += [
                *here.move(after),
                pixels_left.eq(pixels_left - 1),
                pixel.last.eq(pixels_left == 1),
                pixel.begins.eq(0),
            ]
        with m.If(ends_pass):
            m.d.sync += [active.eq(0), rest.eq(next_rest), waiting.eq(next_rest != 0)]
            with m.If(closes):
                m.d.sync += self.running.eq(0)
            with m.If(~pixel.final):
                m.d.sync += here.move(start)
            with m.Elif(shorter):
                m.d.sync += [*here.move(zero), *start.move(zero)]
            with m.Else():
                m.d.sync += start.move(after)
        with m.If(self.passes.valid & self.passes.ready):
            more = Mux(current.shorter, last_tile.more, tile.more)
            m.d.sync += [
                active.eq(1),
                shares.eq(current.shares),
                pixel.begins.eq(current.first),
                pixel.first.eq(current.first),
                pixel.final.eq(current.final),
                pixel.last.eq(more == 0),
                shorter.eq(current.shorter),
                closes.eq(current.closes),
                pixels_left.eq(more),
                next_rest.eq(Mux(current.shorter, last_tile.rest, tile.rest)),
            ]

        m.d.comb += self.instructions.ready.eq(~self.running)
        with m.If(self.instructions.valid & ~self.running):
            m.d.sync += [
                self.running.eq(1),
                pixel.split.eq(new.split),
                stride.eq(new.stride),
                column_stride.eq(self.column_stride),
                step_x.eq(self.step_x),
                step_y.eq(self.step_y),
                *tile.load(),
                *last_tile.load(),
            ]
            for place in (zero, start, here):
                m.d.sync += [
                    place["columns_left"].eq(new.out_width - 1),
                    place["ends_row"].eq(new.out_width == 1),
                    place["y"].eq(-new.pad_top),
                    place["x"].eq(-new.pad_left),
                    place["row_address"].eq(self.origin),
                    place["address"].eq(self.origin),
                ]
        self._ask(m, here, shares, taken)
        return m

    def _ask(self, m: Module, here: _Place, shares: Any, taken: Signal) -> None:
        """Ask for the window of the pixel that is taken: a cycle to add, one to compare."""
        new, window = self.instructions.payload, self.requests.payload
        in_height, in_width = Signal.like(new.in_height), Signal.like(new.in_width)
        fill = Signal.like(new.in_zero_point)
        with m.If(self.instructions.valid & ~self.running):
            m.d.sync += [
                in_height.eq(new.in_height),
                in_width.eq(new.in_width),
                fill.eq(new.in_zero_point),
            ]
        added = Signal()
        m.d.sync += [
            added.eq(taken),
            self.requests.valid.eq(added),
            window.fill.eq(fill),
        ]
        for index, share in enumerate(shares):
            y = Signal(EXTENT, name=f"y_{index}", reset_less=True)
            x = Signal(EXTENT, name=f"x_{index}", reset_less=True)
            address = Signal.like(here["address"], name=f"address_{index}", reset_less=True)
            enable = Signal(name=f"enable_{index}", reset_less=True)
            m.d.sync += [
                y.eq(here["y"] + share.y),
                x.eq(here["x"] + share.x),
                address.eq(here["address"] + share.offset),
                enable.eq(share.enable),
                window.addresses[index].eq(address),
                window.enable[index].eq(enable & (y < in_height) & (x < in_width)),
            ]
