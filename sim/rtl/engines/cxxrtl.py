"""The compiled machine: memory model, bus and recording in C++, no Python in the loop."""

from __future__ import annotations

import ctypes
import enum
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.bus.axi_codes import Response
from hw.config import DnaConfig
from hw.isa import Engine
from hw.status import Activity
from sim.memory.model import BASE, MemoryModel
from sim.memory.timing import timing
from sim.native.declarations import constants, enumeration, prelude, structure
from sim.rtl.axi_memory import DECLARATIONS, MemoryContent, Range
from sim.rtl.library import build, load, trace
from sim.rtl.simulator import BusError, FeatureWrites, Simulator
from sim.rtl.vcd import Waves

SOURCE = Path(__file__).with_name("cxxrtl.cc")
# Python hears Ctrl-C, and progress is told, so often.
_SLICE_MILLISECONDS = 100


class Writes(ctypes.Structure):
    """Writes to the feature memory, in order; the arrays belong to C++.

    Attributes:
        offsets: [count][post_words].
        words: [count][bytes].
        count: of the writes.
        bytes: of the words of one write.
    """

    _fields_ = (
        ("cycles", ctypes.POINTER(ctypes.c_int64)),
        ("sources", ctypes.POINTER(ctypes.c_uint8)),
        ("addresses", ctypes.POINTER(ctypes.c_uint32)),
        ("offsets", ctypes.POINTER(ctypes.c_uint32)),
        ("enables", ctypes.POINTER(ctypes.c_uint8)),
        ("words", ctypes.POINTER(ctypes.c_int8)),
        ("count", ctypes.c_uint64),
        ("bytes", ctypes.c_uint32),
    )


class Verdict(enum.IntEnum):
    """How a call of ``dna_run`` ended."""

    RUNNING = 0
    INTERRUPT = 1
    BROKEN = 2


PRELUDE = prelude(
    *DECLARATIONS,
    constants({"ENGINES": len(Engine), "ACTIVITIES": len(Activity)}),
    *(enumeration(members) for members in (Engine, Verdict)),
    structure(Writes),
)
"""C++ in front of :data:`SOURCE`."""


def _declare(loaded: ctypes.CDLL) -> None:
    pointer, number, word = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32
    loaded.dna_open.restype = pointer
    loaded.dna_open.argtypes = (pointer, pointer, ctypes.c_int)
    loaded.dna_write_register.argtypes = (pointer, word, word)
    loaded.dna_read_register.argtypes = (pointer, word, pointer)
    loaded.dna_run.argtypes = (pointer, number, number)
    loaded.dna_cycle.restype = number
    loaded.dna_cycle.argtypes = (pointer,)
    loaded.dna_fault.restype = ctypes.c_char_p
    loaded.dna_fault.argtypes = (pointer,)
    loaded.dna_writes.argtypes = (pointer, pointer)
    loaded.dna_histogram.restype = ctypes.POINTER(ctypes.c_int64)
    loaded.dna_histogram.argtypes = (pointer, number, pointer)
    loaded.dna_close.argtypes = (pointer,)


def _array(first: Any, count: int) -> npt.NDArray[Any]:
    """A copy of ``count`` values that C++ owns, the first of which is where ``first`` points."""
    dtype = np.dtype(first._type_)
    return np.frombuffer(ctypes.string_at(first, count * dtype.itemsize), dtype)


class CxxrtlSimulator(Simulator):
    """A machine compiled by CXXRTL and g++."""

    def __init__(
        self,
        component: type[Any],
        config: DnaConfig,
        *,
        size: int,
        model: MemoryModel,
        record_writes: bool,
        waves: Waves | None,
    ) -> None:
        super().__init__(
            component,
            config,
            size=size,
            model=model,
            record_writes=record_writes,
            waves=waves,
        )
        library = build(component, {"config": config}, SOURCE, PRELUDE, waves=waves is not None)
        self._code = code = load(library)
        _declare(code)
        errors = (Range * len(model.errors))(*(Range(bad.start, bad.stop) for bad in model.errors))
        content = MemoryContent(
            bytes=self.memory.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)),
            base=BASE,
            size=size,
            errors=errors,
            error_count=len(errors),
            ports=config.dram_ports,
            granule=config.port_granule_bytes,
        )
        self._runner = code.dna_open(
            ctypes.byref(content), ctypes.byref(timing(model)), record_writes
        )
        # C++ holds a pointer into the memory, so the memory must live as long.
        self._finalizer = weakref.finalize(self, self._release, code, self._runner, self.memory)
        if waves is not None:
            trace(code, self._runner, waves)

    @staticmethod
    def _release(code: ctypes.CDLL, runner: int, _memory: npt.NDArray[np.uint8]) -> None:
        code.dna_close(runner)

    @property
    def cycle(self) -> int:
        """Clock cycles since power-on."""
        return int(self._code.dna_cycle(self._open))

    def feature_writes(self) -> FeatureWrites:
        """What the last program wrote to the feature memory; empty if opened without."""
        found = Writes()
        self._code.dna_writes(self._open, ctypes.byref(found))
        count, lanes = found.count, self.config.post_words
        words = _array(found.words, count * found.bytes)
        return FeatureWrites(
            cycle=_array(found.cycles, count),
            source=_array(found.sources, count),
            address=_array(found.addresses, count),
            offsets=_array(found.offsets, count * lanes).reshape(count, lanes),
            enable=_array(found.enables, count),
            words=words.reshape(count, lanes, self.config.rows),
        )

    def layer_activity(self) -> npt.NDArray[np.int64]:
        """Cycles of the last program, int64 [engine, layer, activity]."""
        tables = []
        for engine in Engine:
            size = ctypes.c_uint64()
            found = self._code.dna_histogram(self._open, engine, ctypes.byref(size))
            tables.append(_array(found, size.value).reshape(-1, len(Activity)))
        whole = np.zeros((len(Engine), max(map(len, tables)), len(Activity)), np.int64)
        for target, table in zip(whole, tables, strict=True):
            target[: len(table)] = table
        return whole

    def close(self) -> None:
        """Free the machine; waves are complete afterwards."""
        self._finalizer()

    @property
    def _open(self) -> int:
        if not self._finalizer.alive:
            raise ValueError("the machine is closed")
        return int(self._runner)

    def _write_register(self, offset: int, value: int) -> Response:
        response = self._code.dna_write_register(self._open, offset, value)
        return self._checked(response, f"a write to register {offset:#x}")

    def _read_register(self, offset: int) -> tuple[int, Response]:
        value = ctypes.c_uint32()
        response = self._code.dna_read_register(self._open, offset, ctypes.byref(value))
        return value.value, self._checked(response, f"a read of register {offset:#x}")

    def _checked(self, response: int, access: str) -> Response:
        self._check_bus()
        if response < 0:
            raise BusError(f"{access} got no answer by cycle {self.cycle}")
        return Response(response)

    def _check_bus(self) -> None:
        fault = self._code.dna_fault(self._open).decode()
        if fault:
            raise BusError(f"{fault}, by cycle {self.cycle}")

    def _run(self, max_cycles: int) -> bool:
        verdict = self._code.dna_run(self._open, max(max_cycles, 0), _SLICE_MILLISECONDS)
        if verdict == Verdict.BROKEN:
            self._check_bus()
        return bool(verdict == Verdict.INTERRUPT)


SIMULATOR = CxxrtlSimulator
