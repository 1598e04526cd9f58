"""The on-chip activations: banks of block RAM behind a window, writers and readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.config import DnaConfig
from hw.interfaces import (
    FaultSignature,
    FeatureReadSignature,
    FeatureWriteSignature,
    WindowReadSignature,
)
from hw.status import Fault
from hw.streams.delay import delay
from hw.streams.skid_buffer import SkidBuffer


def _rotate(m: Module, lanes: Sequence[Value], amount: Value, *, count: int) -> list[Value]:
    """``lanes[amount]`` and the ``count - 1`` lanes after it, modulo their (power of two) number.

    A barrel shifter, highest bit of ``amount`` first; what no later stage reaches is left out.
    """
    width = len(lanes[0])
    for bit in reversed(range(len(amount))):
        step = 1 << bit
        reach = min(len(lanes), count + step - 1)
        stage = Signal(width * reach, name=f"rotated_{step}")
        moved = Cat(lanes[(lane + step) % len(lanes)] for lane in range(reach))
        m.d.comb += stage.eq(Mux(amount[bit], moved, Cat(lanes[:reach])))
        lanes = [stage[lane * width : (lane + 1) * width] for lane in range(reach)]
    return list(lanes[:count])


def _negative(m: Module, amount: Value) -> Value:
    """The amount that rotates back: lane i then goes to place ``amount`` + i."""
    back = Signal.like(amount, name="back")
    m.d.comb += back.eq(-amount)
    return back


@dataclass
class _Bank:
    """The ports of a bank: A only reads; B reads or writes at one address."""

    a: Any
    b_address: Signal
    b_read: Any
    b_write: Any


class FeatureMemory(wiring.Component):
    """``feature_words`` words of R bytes; word w is in bank w mod G at row w // G.

    Each bank is a block RAM with two ports. Port A serves the reader of windows, CONV. Port B
    serves everybody else: in each cycle each writer and reader gets the banks that it needs, unless
    one before it in the order
    ``writers[0], writers[1], ..., readers[0], ...`` gets one of them. An answer that has to wait
    for its reader waits outside the banks, so a reader that stands still blocks nobody.

    Rate: one window a cycle, and of the other requests as many as their banks allow.

    Latency: the answer to a request taken in one cycle is there in the next, that to a window
    ``WINDOW_LATENCY`` cycles later. A word written in one cycle is read by requests taken in later
    ones; until then its reader gets the old one.

    Stall: none for windows. Any other request is ready when its banks are free and, if it reads, no
    answer to its reader is left waiting in this cycle.

    Args:
        config: uses ``modules`` G, ``rows`` R, ``lanes`` and ``feature_words``.
        writers, readers: how many of each.

    Ports:
        window: in, :class:`WindowReadSignature`.
        writers: in, :class:`FeatureWriteSignature` [``writers``].
        readers: in, :class:`FeatureReadSignature` [``readers``].
        fault: out, :class:`FaultSignature`. BANK_CONFLICT, with the address of lane 0, once an
            enabled lane of a window was not in its bank; stands until reset. What that window
            returns is undefined.

    Raises:
        ValueError: there is not at least one of each.
    """

    def __init__(self, config: DnaConfig, *, writers: int = 3, readers: int = 3) -> None:
        for name, value in (("writers", writers), ("readers", readers)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a positive integer, not {value!r}")
        self._config = config
        self._bank_bits = exact_log2(config.modules)
        super().__init__(
            {
                "window": In(WindowReadSignature(config)),
                "writers": In(FeatureWriteSignature(config)).array(writers),
                "readers": In(FeatureReadSignature(config)).array(readers),
                "fault": Out(FaultSignature()),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the banks and what shares each of their two ports."""
        m = Module()
        config = self._config
        banks = []
        for number in range(config.modules):
            bank = Memory(
                shape=unsigned(8 * config.rows),
                depth=config.feature_words // config.modules,
                init=[],
            )
            m.submodules[f"bank_{number}"] = bank
            a, b_read, b_write = bank.read_port(), bank.read_port(), bank.write_port()
            b_address = Signal.like(b_write.addr, name=f"b_address_{number}")
            m.d.comb += [
                b_read.en.eq(0),  # which is 1 unless somebody says otherwise
                b_read.addr.eq(b_address),
                b_write.addr.eq(b_address),
            ]
            banks.append(_Bank(a, b_address, b_read, b_write))
        self._read_windows(m, banks)
        self._share_port_b(m, banks)
        return m

    def _read_windows(self, m: Module, banks: list[_Bank]) -> None:
        """Read a window at port A of the banks."""
        lanes = len(banks)
        window = self.window.requests.payload
        taken = self.window.requests.valid

        first = window.addresses[0][: self._bank_bits]
        conflicts = Cat(
            window.enable[lane]
            & (window.addresses[lane][: self._bank_bits] != (first + lane)[: self._bank_bits])
            for lane in range(1, lanes)
        )
        conflict = Signal()
        m.d.sync += conflict.eq(taken & conflicts.any())
        with m.If(~self.fault.valid & ~conflict):
            m.d.sync += self.fault.address.eq(window.addresses[0])
        with m.If(conflict):
            m.d.sync += [self.fault.valid.eq(1), self.fault.code.eq(Fault.BANK_CONFLICT)]

        back = _negative(m, first)
        rows = _rotate(m, [a[self._bank_bits :] for a in window.addresses], back, count=lanes)
        enables = _rotate(m, [*window.enable], back, count=lanes)
        for bank, row, enable in zip(banks, rows, enables, strict=True):
            m.d.comb += [bank.a.addr.eq(row), bank.a.en.eq(taken & enable)]

        # Which bank each module gets its word from is worked out while the banks read, so that
        # behind them there is nothing but a register, the choice, and the register of the arrays.
        outputs = [Signal.like(bank.a.data, reset_less=True) for bank in banks]
        m.d.sync += [output.eq(bank.a.data) for output, bank in zip(outputs, banks, strict=True)]
        fill = delay(m, window.fill, 2, "fill").as_unsigned().replicate(self._config.rows)
        for module, word in enumerate(self.window.words):
            lane = Signal.like(first, name=f"lane_{module}")
            m.d.comb += lane.eq(module & ((1 << window.split) - 1))
            source = delay(m, (first + lane)[: len(first)], 2, f"source_{module}")
            enable = delay(m, window.enable.bit_select(lane, 1), 2, f"enable_{module}")
            chosen = Signal.like(outputs[0], name=f"chosen_{module}", reset_less=False)
            m.d.comb += chosen.eq(outputs[0])
            with m.Switch(source):
                for number, output in enumerate(outputs[1:], 1):
                    with m.Case(number):
                        m.d.comb += chosen.eq(output)
            register = Signal.like(chosen, name=f"word_{module}", reset_less=True)
            m.d.sync += register.eq(Mux(enable, chosen, fill))
            m.d.comb += word.as_value().eq(register)

    def _share_port_b(self, m: Module, banks: list[_Bank]) -> None:
        """Give port B of each bank to the first in the order that needs it."""
        lanes, count = len(banks), self._config.post_words
        busy: Value = Const(0, lanes)
        for index, port in enumerate([*self.writers, *self.readers]):
            request = port.requests.payload
            first, row = request.address[: self._bank_bits], request.address[self._bank_bits :]
            back = _negative(m, first)
            enable = [*request.enable, *[Const(0, 1)] * (lanes - count)]
            needs = Signal(lanes, name=f"needs_{index}")
            free = Signal(name=f"free_{index}")
            grants = Signal(lanes, name=f"grants_{index}")
            next_row = Signal.like(row, name=f"next_row_{index}")
            m.d.comb += [
                needs.eq(Cat(_rotate(m, enable, back, count=lanes))),
                free.eq(~(needs & busy).any()),
                next_row.eq(row + 1),
            ]
            with m.If(port.requests.valid & port.requests.ready):
                m.d.comb += grants.eq(needs)
            busy = busy | grants
            for number, bank in enumerate(banks):
                # Words beyond the last bank are in the next row. One word alone never is.
                wraps = first > number if count > 1 else Const(0)
                with m.If(grants[number]):
                    m.d.comb += bank.b_address.eq(Mux(wraps, next_row, row))

            if index < len(self.writers):
                m.d.comb += port.requests.ready.eq(free)
                # Bank b takes word b - first; banks of the same remainder see the same word.
                shift = back[: exact_log2(count)]
                words = _rotate(m, [w.as_value() for w in request.words], shift, count=count)
                for number, bank in enumerate(banks):
                    with m.If(grants[number]):
                        m.d.comb += [
                            bank.b_write.en.eq(1),
                            bank.b_write.data.eq(words[number % count]),
                        ]
            else:
                buffer = SkidBuffer(port.responses.payload.shape())
                m.submodules[f"read_buffer_{index - len(self.writers)}"] = buffer
                wiring.connect(m, buffer.output, wiring.flipped(port.responses))
                answer_first = Signal.like(first, name=f"answer_first_{index}", reset_less=True)
                m.d.comb += port.requests.ready.eq(free & buffer.room)
                with m.If(port.requests.valid & port.requests.ready):
                    m.d.sync += answer_first.eq(first)
                m.d.sync += buffer.arrives.eq(port.requests.valid & port.requests.ready)
                for number, bank in enumerate(banks):
                    with m.If(grants[number]):
                        m.d.comb += bank.b_read.en.eq(1)
                words = _rotate(m, [bank.b_read.data for bank in banks], answer_first, count=count)
                m.d.comb += buffer.word.as_value().eq(Cat(words))
