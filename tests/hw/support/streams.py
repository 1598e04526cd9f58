"""Drives the streams of a component, at random paces on both sides.

:class:`Traffic` decides and judges, cycle by cycle, and knows nothing of a simulator;
:class:`StreamBench` runs it in Amaranth's. ``tests/cocotb`` runs it in cocotb's.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from amaranth.hdl import Const, Shape, Value
from amaranth.lib import data
from amaranth.sim import Simulator


def to_bits(shape: Any, word: Any) -> int:
    """The bits of a word given as plain numbers, lists and dictionaries."""
    return int(shape.const(word).as_bits())


def from_bits(shape: Any, bits: int) -> Any:
    """The opposite of :func:`to_bits`."""

    def plain(value: Any) -> Any:
        if not isinstance(value, data.Const):
            return int(value)
        if isinstance(value.shape(), data.ArrayLayout):
            return [plain(element) for element in value]
        return {name: plain(value[name]) for name in value.shape().members}

    return plain(shape.from_bits(bits))


@dataclass
class Transfers:
    """What crossed one stream: the words, and the cycle in which each did."""

    words: list[Any] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)


class Traffic:
    """Words to send and to expect on the streams of ``dut``.

    Args:
        dut: component whose members name the streams.
        send: words for each input stream.
        receive: how many words each output stream is to give, not one more.
        pace: chance per stream and cycle that it is valid (inputs) or ready (outputs); 1 if absent.
        seed: of the paces.
        patience: cycles without any transfer after which the component is stuck.
        surplus: cycles to wait, ready, for words that should not come.

    Attributes:
        transfers: of every stream.
    """

    def __init__(
        self,
        dut: Any,
        *,
        send: Mapping[str, Sequence[Any]],
        receive: Mapping[str, int],
        pace: Mapping[str, float] | None = None,
        seed: int = 0,
        patience: int = 1000,
        surplus: int = 40,
    ) -> None:
        assert receive and all(receive.values()), "nothing would be checked"
        self.transfers = {name: Transfers() for name in (*send, *receive)}
        self._shapes = {name: getattr(dut, name).payload.shape() for name in self.transfers}
        self._send = {
            name: [to_bits(self._shapes[name], word) for word in words]
            for name, words in send.items()
        }
        self._receive = receive
        self._pace = pace or {}
        self._random = random.Random(seed)
        self._patience, self._surplus = patience, surplus
        self._offered = dict.fromkeys(send, False)
        self._blocked: dict[str, int] = {}  # payload of an output that was valid but not ready
        self._cycle = self._last_transfer = 0

    @property
    def _complete(self) -> bool:
        counts = {name: len(words) for name, words in self._send.items()} | dict(self._receive)
        return all(len(self.transfers[name].words) >= count for name, count in counts.items())

    @property
    def finished(self) -> bool:
        """Whether everything has been transferred and nothing came after it."""
        return self._complete and self._cycle - self._last_transfer > self._surplus

    def _chance(self, name: str) -> bool:
        return self._random.random() < float(self._pace.get(name, 1))

    def drive(self) -> dict[tuple[str, str], int]:
        """What to set before the next clock edge, by stream and member."""
        values: dict[tuple[str, str], int] = {}
        for name, words in self._send.items():
            position = len(self.transfers[name].words)
            self._offered[name] = position < len(words) and (
                self._offered[name] or self._chance(name)
            )
            values[name, "valid"] = int(self._offered[name])
            # What is not valid must not matter.
            values[name, "payload"] = (
                words[position]
                if self._offered[name]
                else self._random.getrandbits(Shape.cast(self._shapes[name]).width)
            )
        complete = self._complete
        for name in self._receive:
            values[name, "ready"] = int(complete or self._chance(name))
        return values

    def observe(self, name: str, valid: int, ready: int, bits: int) -> None:
        """Judge what stream ``name`` shows at the clock edge."""
        if name in self._receive:
            if name in self._blocked:
                assert valid and bits == self._blocked.pop(name), f"{name} changed while waiting"
            if valid and not ready:
                self._blocked[name] = bits
        if valid and ready:
            seen = self.transfers[name]
            seen.words.append(from_bits(self._shapes[name], bits))
            seen.cycles.append(self._cycle)
            self._last_transfer = self._cycle
            if name in self._receive:
                assert len(seen.words) <= self._receive[name], f"{name} gave a word too many"
            else:
                self._offered[name] = False

    def tick(self) -> None:
        """End the cycle."""
        self._cycle += 1
        if not self._complete and self._cycle - self._last_transfer > self._patience:
            counts = {name: len(seen.words) for name, seen in self.transfers.items()}
            raise AssertionError(f"stuck in cycle {self._cycle}, transferred {counts}")


class StreamBench:
    """A component in Amaranth's simulator. Building it is slow, so one serves many runs."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self._used = False
        self._simulator = Simulator(dut)
        self._simulator.add_clock(1e-6)
        self._simulator.add_testbench(self._testbench)

    def run(
        self, *, inputs: Mapping[str, int] | None = None, **traffic: Any
    ) -> dict[str, Transfers]:
        """Run from reset until everything is sent and received.

        Args:
            inputs: values of plain inputs.
            traffic: see :class:`Traffic`.

        Returns:
            The transfers of every stream.
        """
        self._inputs = inputs or {}
        self._traffic = Traffic(self.dut, **traffic)
        if self._used:
            self._simulator.reset()
        self._used = True
        self._simulator.run()
        assert self._traffic.finished, "the simulation ended early"
        return self._traffic.transfers

    async def _testbench(self, ctx: Any) -> None:
        traffic = self._traffic
        ports = {name: getattr(self.dut, name) for name in traffic.transfers}
        signals = {
            (name, member): Value.cast(getattr(port, member))
            for name, port in ports.items()
            for member in ("valid", "ready", "payload")
        }
        for name, value in self._inputs.items():
            ctx.set(getattr(self.dut, name), value)
        while not traffic.finished:
            for key, value in traffic.drive().items():
                if not isinstance(signals[key], Const):  # as is the ready of what nobody stops
                    ctx.set(signals[key], value)
            _, _, *values = await ctx.tick().sample(*signals.values())
            sample = dict(zip(signals, values, strict=True))
            for name, port in ports.items():
                # A signed payload samples as a signed number.
                width = len(Value.cast(port.payload))
                bits = sample[name, "payload"] & ((1 << width) - 1)
                traffic.observe(name, sample[name, "valid"], sample[name, "ready"], bits)
            traffic.tick()
