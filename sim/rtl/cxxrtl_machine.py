"""The compiled machine: memory model, bus and recording in C++, no Python in the loop."""

from __future__ import annotations

import ctypes
import weakref
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.config import DnaConfig
from hw.isa import Engine
from hw.status import Activity
from sim.rtl.axi_memory import BusError, Channel
from sim.rtl.library import build, load, trace
from sim.rtl.machine import FeatureWrites, Machine
from sim.rtl.memory import BASE, MemoryModel
from sim.rtl.vcd import Waves

# Python hears Ctrl-C, and progress is told, so often.
_SLICE_MILLISECONDS = 100
_INTERRUPT, _BROKEN = 1, 2


class _Range(ctypes.Structure):
    """Mirrors ``Range`` of axi_memory.h."""

    _fields_ = (("start", ctypes.c_uint64), ("stop", ctypes.c_uint64))


class _Model(ctypes.Structure):
    """Mirrors ``Model`` of axi_memory.h."""

    _fields_ = (
        ("bytes", ctypes.c_void_p),
        ("base", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("latency", ctypes.c_uint64),
        ("rate", ctypes.c_int64),
        ("stall_threshold", ctypes.c_uint64),
        ("states", ctypes.c_uint64 * len(Channel)),
        ("errors", ctypes.POINTER(_Range)),
        ("error_count", ctypes.c_uint64),
        ("reorder", ctypes.c_uint8),
    )


class _Writes(ctypes.Structure):
    """Mirrors ``Writes`` of machine.cc."""

    _fields_ = (
        ("cycles", ctypes.c_void_p),
        ("sources", ctypes.c_void_p),
        ("addresses", ctypes.c_void_p),
        ("enables", ctypes.c_void_p),
        ("words", ctypes.c_void_p),
        ("count", ctypes.c_uint64),
        ("bytes", ctypes.c_uint32),
    )


def _declare(loaded: ctypes.CDLL) -> None:
    pointer, number, word = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32
    loaded.dna_open.restype = pointer
    loaded.dna_open.argtypes = (pointer, ctypes.c_int)
    loaded.dna_write_register.argtypes = (pointer, word, word)
    loaded.dna_read_register.argtypes = (pointer, word, pointer)
    loaded.dna_run.argtypes = (pointer, number, number)
    loaded.dna_cycle.restype = number
    loaded.dna_cycle.argtypes = (pointer,)
    loaded.dna_fault.restype = ctypes.c_char_p
    loaded.dna_fault.argtypes = (pointer,)
    loaded.dna_writes.argtypes = (pointer, pointer)
    loaded.dna_histogram.restype = pointer
    loaded.dna_histogram.argtypes = (pointer, number, pointer)
    loaded.dna_close.argtypes = (pointer,)


def _array(address: int | None, count: int, dtype: Any) -> npt.NDArray[Any]:
    """A copy of ``count`` values that C++ owns."""
    return np.frombuffer(ctypes.string_at(address or 0, count * np.dtype(dtype).itemsize), dtype)


class CxxrtlMachine(Machine):
    """A machine compiled by CXXRTL and g++."""

    def __init__(
        self,
        component: type[Any],
        config: DnaConfig,
        size: int,
        model: MemoryModel,
        record_writes: bool,
        waves: Waves | None,
    ) -> None:
        super().__init__(config, size)
        library = build(component, {"config": config}, "machine.cc", waves=waves is not None)
        self._code = code = load(library)
        _declare(code)
        errors = (_Range * len(model.errors))(
            *(_Range(bad.start, bad.stop) for bad in model.errors)
        )
        self._runner = code.dna_open(
            ctypes.byref(
                _Model(
                    bytes=self.memory.ctypes.data,
                    base=BASE,
                    size=size,
                    latency=model.latency,
                    rate=model.rate,
                    stall_threshold=model.stalls.threshold,
                    states=tuple(model.stalls.state(channel) for channel in Channel),
                    errors=errors,
                    error_count=len(errors),
                    reorder=model.reorder,
                )
            ),
            record_writes,
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
        found = _Writes()
        self._code.dna_writes(self._open, ctypes.byref(found))
        count = found.count
        words = _array(found.words, count * found.bytes, np.int8)
        return FeatureWrites(
            cycle=_array(found.cycles, count, np.int64),
            source=_array(found.sources, count, np.uint8),
            address=_array(found.addresses, count, np.uint32),
            enable=_array(found.enables, count, np.uint8),
            words=words.reshape(count, self.config.post_words, self.config.rows),
        )

    def layer_activity(self) -> npt.NDArray[np.int64]:
        """Cycles of the last program, int64 [engine, layer, activity]."""
        tables = []
        for engine in Engine:
            size = ctypes.c_uint64()
            found = self._code.dna_histogram(self._open, engine, ctypes.byref(size))
            tables.append(_array(found, size.value, np.int64).reshape(-1, len(Activity)))
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

    def _write_register(self, offset: int, value: int) -> None:
        answered = self._code.dna_write_register(self._open, offset, value)
        self._check(answered, f"a write to register {offset:#x}")

    def _read_register(self, offset: int) -> int:
        value = ctypes.c_uint32()
        answered = self._code.dna_read_register(self._open, offset, ctypes.byref(value))
        self._check(answered, f"a read of register {offset:#x}")
        return value.value

    def _check(self, answered: int, access: str) -> None:
        self._check_bus()
        if not answered:
            raise BusError(f"{access} got no answer by cycle {self.cycle}")

    def _check_bus(self) -> None:
        fault = self._code.dna_fault(self._open).decode()
        if fault:
            raise BusError(f"{fault}, by cycle {self.cycle}")

    def _run(self, max_cycles: int) -> bool:
        verdict = self._code.dna_run(self._open, max(max_cycles, 0), _SLICE_MILLISECONDS)
        if verdict == _BROKEN:
            self._check_bus()
        return bool(verdict == _INTERRUPT)
