"""One interface to run a hardware component: words in, words out, the cycle of every transfer.

A component qualifies if every member of its signature is a stream or a static input. An engine is
opened for a component class and its parameters and then runs any number of independent jobs, each
from reset. All engines agree on every output word and on the cycle of every transfer, with stalls
too.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sim.memory.stalls import NO_STALLS, Stalls
from sim.rtl.vcd import Waves
from sw.errors import DnaError

Words = npt.NDArray[np.uint8]
DEADLOCK_CYCLES = 4096
SURPLUS_CYCLES = 64


@dataclasses.dataclass(frozen=True)
class StreamPort:
    """A stream of a component.

    Attributes:
        name: of the port.
        is_input: whether the component consumes the stream.
        width: bits of one word.
    """

    name: str
    is_input: bool
    width: int

    @property
    def bytes(self) -> int:
        """Bytes of one packed word: little-endian, bit 0 first, zeros above ``width``."""
        return -(-self.width // 8)


@dataclasses.dataclass(frozen=True)
class Ports:
    """What a component shows to the outside: its streams, and widths of its static inputs."""

    streams: tuple[StreamPort, ...]
    statics: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run gave.

    Attributes:
        outputs: uint8 [words, bytes] for each output stream.
        accepted: int64 [words] for each stream: the cycle in which the word was transferred;
            cycle 0 is the first after reset.
        cycles: from reset through the last transfer.
    """

    outputs: dict[str, Words]
    accepted: dict[str, npt.NDArray[np.int64]]
    cycles: int


@dataclasses.dataclass
class StreamState:
    """One stream during a run.

    Attributes:
        port: which stream.
        words: uint8 [count, bytes], to be sent or to be filled.
        accepted: int64 [count], to be filled.
        done: words transferred so far.
        valid: as last seen.
        ready: as last seen.
    """

    port: StreamPort
    words: Words
    accepted: npt.NDArray[np.int64]
    done: int = 0
    valid: bool = False
    ready: bool = False

    @property
    def count(self) -> int:
        """Words to transfer."""
        return len(self.words)

    def __str__(self) -> str:
        """What the stream waits for."""
        if self.done == self.count:
            more = ", one more offered" if self.valid and not self.port.is_input else ""
            return f"{self.port.name}: all {self.count} words done{more}"
        word = f"{self.port.name}: word {self.done} of {self.count}"
        if self.valid and not self.ready:
            return f"{word} offered, not accepted"
        if self.ready and not self.valid:
            return f"{word} awaited, not offered"
        return f"{word} neither offered nor awaited"


class Engine(abc.ABC):
    """Runs a component. Made by :func:`tests.sim.rtl.streams.engines.open_engine`."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports

    def run(
        self,
        inputs: Mapping[str, Words],
        outputs: Mapping[str, int],
        statics: Mapping[str, int] | None = None,
        *,
        stalls: Stalls = NO_STALLS,
        waves: Waves | None = None,
        deadlock_cycles: int = DEADLOCK_CYCLES,
    ) -> Result:
        """Run from reset until every word of every stream is transferred.

        Args:
            inputs: uint8 [words, bytes] for each input stream, packed as
                :attr:`StreamPort.bytes` says.
            outputs: words to expect from each output stream.
            statics: values of the static inputs.
            stalls: when the outside offers nothing and accepts nothing.
            waves: VCD file to write.
            deadlock_cycles: give up after so many cycles without a transfer.

        Raises:
            DnaError: the component came to a halt (the message tells what each stream waited for)
                or offered more words than expected; the wave file cannot be written.
            ValueError: words or values do not fit the component's ports.
        """
        states = self._states(inputs, outputs)
        values = self._statics(statics or {})
        cycles, verdict = self._run(states, values, stalls, waves, deadlock_cycles)
        if verdict == "deadlock":
            waiting = "; ".join(str(state) for state in states)
            raise DnaError(
                f"the hardware stopped: no word moved for {deadlock_cycles} cycles "
                f"up to cycle {cycles} ({waiting})"
            )
        if verdict == "surplus":
            names = [s.port.name for s in states if not s.port.is_input and s.valid]
            raise DnaError(
                f"the hardware gave more words than expected on {', '.join(names)} "
                f"by cycle {cycles}"
            )
        return Result(
            outputs={s.port.name: s.words for s in states if not s.port.is_input},
            accepted={s.port.name: s.accepted for s in states},
            cycles=1 + max((int(s.accepted[-1]) for s in states if s.count), default=-1),
        )

    @abc.abstractmethod
    def _run(
        self,
        states: list[StreamState],
        statics: dict[str, int],
        stalls: Stalls,
        waves: Waves | None,
        deadlock_cycles: int,
    ) -> tuple[int, Literal["done", "deadlock", "surplus"]]:
        """Transfer all words; return the cycles run and how it ended."""

    def _states(self, inputs: Mapping[str, Words], outputs: Mapping[str, int]) -> list[StreamState]:
        for given, is_input in ((inputs, True), (outputs, False)):
            expected = {p.name for p in self.ports.streams if p.is_input == is_input}
            if set(given) != expected:
                kind = "input" if is_input else "output"
                raise ValueError(f"{kind} streams are {sorted(expected)}, not {sorted(given)}")
        states = []
        for port in self.ports.streams:
            if port.is_input:
                words = np.ascontiguousarray(inputs[port.name])
                if words.dtype != np.uint8 or words.ndim != 2 or words.shape[1] != port.bytes:
                    raise ValueError(
                        f"words for {port.name} must be uint8 [n, {port.bytes}], "
                        f"not {words.dtype} {list(words.shape)}"
                    )
                spare = port.bytes * 8 - port.width
                if spare and len(words) and int(words[:, -1].max()) >> (8 - spare):
                    raise ValueError(f"words for {port.name} exceed {port.width} bits")
            else:
                words = np.zeros((outputs[port.name], port.bytes), np.uint8)
            states.append(StreamState(port, words, np.full(len(words), -1, np.int64)))
        return states

    def _statics(self, given: Mapping[str, int]) -> dict[str, int]:
        if set(given) != set(self.ports.statics):
            raise ValueError(f"static inputs are {sorted(self.ports.statics)}, not {sorted(given)}")
        values = {}
        for name, width in self.ports.statics.items():
            value = int(given[name])
            if not -(1 << (width - 1)) <= value < (1 << width):
                raise ValueError(f"{name} = {value} does not fit {width} bits")
            values[name] = value & ((1 << width) - 1)
        return values


def describe(component: Any) -> Ports:
    """The ports of an Amaranth component.

    Raises:
        ValueError: a member is neither a stream nor an input.
    """
    from amaranth.hdl import Shape, Value
    from amaranth.lib import stream, wiring

    streams, statics = [], {}
    for name, member in component.signature.members.items():
        if member.is_signature and isinstance(member.signature, stream.Signature):
            width = len(Value.cast(getattr(component, name).payload))
            streams.append(StreamPort(name, member.flow == wiring.In, width))
        elif member.is_port and member.flow == wiring.In and not member.dimensions:
            statics[name] = Shape.cast(member.shape).width
        else:
            raise ValueError(f"port {name!r} is neither a stream nor a static input: {member!r}")
    return Ports(tuple(streams), statics)
