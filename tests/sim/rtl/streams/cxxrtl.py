"""The compiled engine: hundreds of thousands of cycles a second, no Python in the loop."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from hw.config import DnaConfig
from sim.memory.stalls import Stalls
from sim.native.declarations import prelude, structure
from sim.rtl.library import build, load, trace
from sim.rtl.vcd import Waves
from tests.sim.rtl.streams.interface import SURPLUS_CYCLES, Engine, StreamState, describe

DRIVER = Path(__file__).with_name("driver.cc")
_SLICE_CYCLES = 1 << 16
_VERDICTS: dict[int, Literal["done", "deadlock", "surplus"]] = {
    1: "done",
    2: "deadlock",
    3: "surplus",
}


class Stream(ctypes.Structure):
    """A stream for C++: ``words`` is [count][bytes], ``stall_state`` is of cycle 0."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("words", ctypes.POINTER(ctypes.c_uint8)),
        ("accepted", ctypes.POINTER(ctypes.c_int64)),
        ("count", ctypes.c_uint64),
        ("done", ctypes.c_uint64),
        ("stall_state", ctypes.c_uint64),
        ("bytes", ctypes.c_uint32),
        ("is_input", ctypes.c_uint8),
        ("valid", ctypes.c_uint8),
        ("ready", ctypes.c_uint8),
    )


class Static(ctypes.Structure):
    """A static input for C++."""

    _fields_ = (("name", ctypes.c_char_p), ("value", ctypes.c_uint64))


PRELUDE = prelude(structure(Stream), structure(Static))


def _load(library: Path) -> ctypes.CDLL:
    loaded = load(library)
    pointer, number = ctypes.c_void_p, ctypes.c_uint64
    loaded.dna_open.restype = pointer
    loaded.dna_open.argtypes = (pointer, number, pointer, number, number)
    loaded.dna_advance.argtypes = (pointer, number, number, number)
    loaded.dna_cycle.restype = number
    loaded.dna_cycle.argtypes = (pointer,)
    loaded.dna_close.argtypes = (pointer,)
    return loaded


class CxxrtlEngine(Engine):
    """Runs ``component(**parameters)`` compiled by CXXRTL and g++."""

    def __init__(self, component: type[Any], parameters: Mapping[str, DnaConfig | int]) -> None:
        made = component(**parameters)
        made._MustUse__used = True  # else Amaranth warns, when the library is cached
        super().__init__(describe(made))
        self._build = functools.partial(build, component, parameters, DRIVER, PRELUDE)
        self._code = _load(self._build())

    def _run(
        self,
        states: list[StreamState],
        statics: dict[str, int],
        stalls: Stalls,
        waves: Waves | None,
        deadlock_cycles: int,
    ) -> tuple[int, Literal["done", "deadlock", "surplus"]]:
        code = self._code if waves is None else _load(self._build(waves=True))
        streams = (Stream * len(states))(
            *(
                Stream(
                    name=state.port.name.encode(),
                    words=state.words.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)),
                    accepted=state.accepted.ctypes.data_as(ctypes.POINTER(ctypes.c_int64)),
                    count=state.count,
                    stall_state=stalls.state(index),
                    bytes=state.port.bytes,
                    is_input=state.port.is_input,
                )
                for index, state in enumerate(states)
            )
        )
        values = (Static * len(statics))(*(Static(n.encode(), v) for n, v in statics.items()))
        runner = code.dna_open(streams, len(streams), values, len(values), stalls.threshold)
        try:
            if waves is not None:
                trace(code, runner, waves)
            verdict = 0
            while not verdict:  # in slices, so that Ctrl-C is heard
                verdict = code.dna_advance(runner, _SLICE_CYCLES, deadlock_cycles, SURPLUS_CYCLES)
            cycles = int(code.dna_cycle(runner))
        finally:
            code.dna_close(runner)
        for state, stream in zip(states, streams, strict=True):
            state.done = stream.done
            state.valid = bool(stream.valid)
            state.ready = bool(stream.ready)
        return cycles, _VERDICTS[verdict]
