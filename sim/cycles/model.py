"""The compiled model: ``model.cc`` with the tables of ``hw/`` in front, behind ctypes."""

from __future__ import annotations

import ctypes
import dataclasses
import enum
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hw import isa, microarchitecture
from hw.config import DEPTHWISE_SIDE, DEPTHWISE_TAPS, LOAD_CHUNKS, DnaConfig
from hw.isa import COMMON, FORMATS, INSTRUCTION_BYTES, TOKEN_LIMIT, Engine, Join, Opcode
from hw.status import Activity
from sim import native
from sim.memory import timing
from sim.memory.model import MemoryModel
from sim.native.declarations import constants, enumeration, prelude, structure

SOURCE = Path(__file__).with_name("model.cc")
FLAGS = ("-O3", "-std=c++17")
NEVER = (1 << 64) - 1


class Verdict(enum.IntEnum):
    """How a call of ``dna_run`` ended."""

    RUNNING = 0
    FINISHED = 1
    STANDS_STILL = 2
    TOKEN_OVERFLOW = 3


class Reader(enum.IntEnum):
    """Who reads the memory, by the identifier of its requests."""

    FETCH = 0
    LOAD = 1
    WEIGHTS = 2


_CONFIG = [field.name for field in dataclasses.fields(DnaConfig) if field.name != "name"]
_FIELDS = ["engine", "opcode", *(field.name for field in COMMON[1:])]
_FIELDS += sorted({field.name for form in FORMATS.values() for field in form.fields})


class Config(ctypes.Structure):
    """The numbers of a :class:`hw.config.DnaConfig`."""

    _fields_ = [(name, ctypes.c_int64) for name in _CONFIG]


class Instruction(ctypes.Structure):
    """All fields that any instruction has; those that it lacks are 0."""

    _fields_ = [(name, ctypes.c_int64) for name in _FIELDS]


class Trace(ctypes.Structure):
    """What became of an instruction; ``NEVER`` where something did not happen."""

    _fields_ = (
        ("dispatched", ctypes.c_uint64),
        ("start", ctypes.c_uint64),
        ("end", ctypes.c_uint64),
        ("activity", ctypes.c_uint64 * len(Activity)),
    )


class Result(ctypes.Structure):
    """Figures of the whole run.

    Attributes:
        words_read: DRAM words, by the reader, in the order of :class:`Reader`.
        most_weights: DRAM words in the weight FIFO.
        weights_empty: cycles in which CONV wanted a DRAM word and there was none.
        both_busy: cycles in which CONV and DEPTHWISE worked.
    """

    _fields_ = (
        ("cycles", ctypes.c_uint64),
        ("words_read", ctypes.c_uint64 * len(Reader)),
        ("words_written", ctypes.c_uint64),
        ("most_weights", ctypes.c_uint64),
        ("weights_empty", ctypes.c_uint64),
        ("both_busy", ctypes.c_uint64),
    )


def _constants() -> dict[str, int]:
    """What the blocks of ``hw/`` are built with."""
    return {
        "INSTRUCTION_BYTES": INSTRUCTION_BYTES,
        "TOKEN_LIMIT": TOKEN_LIMIT,
        "ENGINES": len(Engine),
        "ACTIVITIES": len(Activity),
        "READERS": len(Reader),
        "INSTRUCTIONS_UNDER_WAY": microarchitecture.INSTRUCTIONS_UNDER_WAY,
        "WALK_LATENCY": microarchitecture.WALK_LATENCY,
        "ENTRY_LATENCY": microarchitecture.ENTRY_LATENCY,
        "ELEMENT_LATENCY": microarchitecture.ELEMENT_LATENCY,
        "ACCUMULATION_LATENCY": microarchitecture.ACCUMULATION_LATENCY,
        "OUTSTANDING_WEIGHTS": microarchitecture.OUTSTANDING_WEIGHTS,
        "PARAMETER_TILES": microarchitecture.PARAMETER_TILES,
        "PARAMETER_BYTES": microarchitecture.PARAMETER_BYTES,
        "REQUANTIZER_LATENCY": microarchitecture.REQUANTIZER_LATENCY,
        "CHOICE_LATENCY": microarchitecture.CHOICE_LATENCY,
        "RESIDUAL_LATENCY": microarchitecture.RESIDUAL_LATENCY,
        "JOIN_PRODUCT_LATENCY": microarchitecture.JOIN_PRODUCT_LATENCY,
        "POST_WORDS_UNDER_WAY": microarchitecture.POST_WORDS_UNDER_WAY,
        "TABLE_BYTES": microarchitecture.TABLE_BYTES,
        "TABLE_WORD_BYTES": microarchitecture.TABLE_WORD_BYTES,
        "TABLE_LATENCY": microarchitecture.TABLE_LATENCY,
        "FEATURE_READS": microarchitecture.FEATURE_READS,
        "FEATURE_READ_LATENCY": microarchitecture.FEATURE_READ_LATENCY,
        "POOL_PREPARATION": microarchitecture.POOL_PREPARATION,
        "MEAN_PIPELINE": microarchitecture.MEAN_LATENCY,
        "RING_CHUNKS": LOAD_CHUNKS,
        "DEPTHWISE_SIDE": DEPTHWISE_SIDE,
        "DEPTHWISE_TAPS": DEPTHWISE_TAPS,
        "DEPTHWISE_ROWS": microarchitecture.DEPTHWISE_ROWS,
        "DEPTHWISE_PREPARATION": microarchitecture.DEPTHWISE_PREPARATION,
        "LINE_BUFFER_LATENCY": microarchitecture.LINE_BUFFER_LATENCY,
        "TAP_SUM_LATENCY": microarchitecture.TAP_SUM_LATENCY,
    }


def _prelude() -> str:
    """C++ that says what the tables of ``hw/`` say, and what is shared with this module."""
    return prelude(
        *timing.DECLARATIONS,
        constants(_constants()),
        f"constexpr uint64_t NEVER = {NEVER}u;",
        *(enumeration(members) for members in (Engine, Activity, Verdict)),
        enumeration(Opcode, prefix="OPCODE_"),
        enumeration(Reader, prefix="READER_"),
        enumeration(Join, prefix="JOIN_"),
        *(structure(shared) for shared in (Config, Instruction, Trace, Result)),
    )


@cache
def _library() -> ctypes.CDLL:
    headers = [*SOURCE.parent.glob("*.h"), *timing.HEADERS]
    library = native.load(native.library(SOURCE, FLAGS, headers=headers, prelude=_prelude()))
    library.dna_open.restype = ctypes.c_void_p
    library.dna_histogram.restype = ctypes.POINTER(ctypes.c_uint64)
    library.dna_trace.restype = ctypes.POINTER(Trace)
    return library


class Model:
    """A machine with a program in its memory, in the first cycle of its run.

    Args:
        config: the machine.
        program: its instructions, HEADER first.
        offset: byte of the memory at which it begins.
        layers: how many the histogram has room for.
        memory: behind the machine.
        first_cycle: in which the run begins, from power-on.
        patience: cycles without progress that count as a hang.
    """

    def __init__(
        self,
        config: DnaConfig,
        program: Sequence[isa.Instruction],
        offset: int,
        layers: int,
        memory: MemoryModel,
        first_cycle: int,
        patience: int,
    ) -> None:
        self._library = _library()
        self._layers = layers
        self._length = len(program)
        values = Config(*(getattr(config, name) for name in _CONFIG))
        code = (Instruction * len(program))()
        for target, instruction in zip(code, program, strict=True):
            target.engine, target.opcode = instruction.engine, instruction.opcode
            for name, value in instruction.fields.items():
                setattr(target, name, value & NEVER if name == "config" else value)
        self._machine = ctypes.c_void_p(
            self._library.dna_open(
                ctypes.byref(values),
                ctypes.byref(timing.timing(memory)),
                ctypes.c_uint64(first_cycle),
                code,
                ctypes.c_uint64(len(program)),
                ctypes.c_uint64(offset),
                ctypes.c_int64(layers),
                ctypes.c_uint64(patience),
            )
        )

    def run(self, cycles: int) -> Verdict:
        """Go on, for so many cycles at most."""
        return Verdict(self._library.dna_run(self._machine, ctypes.c_uint64(cycles)))

    @property
    def result(self) -> Result:
        """Figures up to now."""
        result = Result()
        self._library.dna_result(self._machine, ctypes.byref(result))
        return result

    def histogram(self) -> list[int]:
        """Cycles by engine, layer and activity, the last one fastest."""
        count = len(Engine) * self._layers * len(Activity)
        return list(self._library.dna_histogram(self._machine)[:count])

    def traces(self) -> list[Any]:
        """What became of each instruction."""
        return list(self._library.dna_trace(self._machine)[: self._length])

    def close(self) -> None:
        """Give the memory back."""
        self._library.dna_close(self._machine)
