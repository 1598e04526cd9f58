"""The compiled model: ``model.cc`` with the tables of ``hw/`` in front, behind ctypes."""

from __future__ import annotations

import ctypes
import dataclasses
import enum
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from hw.config import DnaConfig
from hw.interfaces import Activity
from hw.isa import COMMON, FORMATS, INSTRUCTION_BYTES, TOKEN_LIMIT, Engine, Instruction, Opcode
from sim import native
from sim.rtl.memory import RATE_ONE, MemoryModel

SOURCE = Path(__file__).with_name("model.cc")
FLAGS = ("-O3", "-std=c++17")
CHANNELS = 6
"""Streams of random numbers that the memory draws: AR, R, AW, W, B, choice of a reader."""
NEVER = (1 << 64) - 1


class Verdict(enum.IntEnum):
    """How a call of ``dna_run`` ended."""

    RUNNING = 0
    FINISHED = 1
    STANDS_STILL = 2
    TOKEN_OVERFLOW = 3


_CONFIG = [field.name for field in dataclasses.fields(DnaConfig) if field.name != "name"]
_FIELDS = ["engine", "opcode", *(field.name for field in COMMON[1:])]
_FIELDS += sorted({field.name for form in FORMATS.values() for field in form.fields})


class _Config(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in _CONFIG]


class _Instruction(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in _FIELDS]


class _MemoryTiming(ctypes.Structure):
    _fields_ = (
        ("latency", ctypes.c_int64),
        ("rate", ctypes.c_int64),
        ("stall_threshold", ctypes.c_uint64),
        ("states", ctypes.c_uint64 * CHANNELS),
        ("first_cycle", ctypes.c_uint64),
        ("reorder", ctypes.c_int64),
    )


class Trace(ctypes.Structure):
    """What became of an instruction; ``NEVER`` where something did not happen."""

    _fields_ = (
        ("dispatched", ctypes.c_uint64),
        ("start", ctypes.c_uint64),
        ("end", ctypes.c_uint64),
        ("activity", ctypes.c_uint64 * len(Activity)),
    )


class Result(ctypes.Structure):
    """Figures of the whole run."""

    _fields_ = (
        ("cycles", ctypes.c_uint64),
        ("words_read", ctypes.c_uint64 * 3),
        ("words_written", ctypes.c_uint64),
        ("most_weights", ctypes.c_uint64),
        ("weights_empty", ctypes.c_uint64),
    )


def _constants() -> dict[str, int]:
    """What the blocks of ``hw/`` say about themselves."""
    from hw.control import sequencer
    from hw.conv import activation_reader, weight_unpacker
    from hw.pool import mean
    from hw.post import post_engine, requantize, residual
    from hw.transfer import row_ring, weights

    return {
        "INSTRUCTION_BYTES": INSTRUCTION_BYTES,
        "TOKEN_LIMIT": TOKEN_LIMIT,
        "RATE_ONE": RATE_ONE,
        "ENGINES": len(Engine),
        "ACTIVITIES": len(Activity),
        "INSTRUCTIONS_UNDER_WAY": sequencer.INSTRUCTIONS_UNDER_WAY,
        "OUTSTANDING_WINDOWS": activation_reader.OUTSTANDING,
        "OUTSTANDING_WEIGHTS": weights.OUTSTANDING,
        "PARAMETER_BYTES": weight_unpacker.BYTES_PER_CHANNEL,
        "REQUANTIZER_LATENCY": requantize.RequantizerLane.LATENCY,
        "ADDER_LATENCY": residual.AdderLane.LATENCY,
        "RESIDUAL_WORDS": post_engine.RESIDUAL_WORDS,
        "MEAN_PIPELINE": mean.MeanUnit.PIPELINE,
        "RING_CHUNKS": row_ring.RING_CHUNKS,
    }


def _prelude() -> str:
    """C++ that says what the tables of ``hw/`` say."""
    lines = ["#include <cstdint>", "namespace {"]
    for name, fields in (("Config", _CONFIG), ("Instruction", _FIELDS)):
        lines.append(f"struct {name} {{ int64_t {', '.join(fields)}; }};")
    for members, prefix in ((Engine, ""), (Activity, ""), (Opcode, "OPCODE_")):
        numbers = ", ".join(f"{prefix}{member.name} = {member.value}" for member in members)
        lines.append(f"enum {members.__name__} : int {{ {numbers} }};")
    lines += [f"constexpr int64_t {name} = {value};" for name, value in _constants().items()]
    return "\n".join([*lines, "}", ""])


@cache
def _library() -> ctypes.CDLL:
    headers = sorted(SOURCE.parent.glob("*.h"))
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
        layers: how many the histogram has room for.
        memory: behind the machine.
        first_cycle: in which the run begins, from power-on.
        patience: cycles without progress that count as a hang.
    """

    def __init__(
        self,
        config: DnaConfig,
        program: Sequence[Instruction],
        layers: int,
        memory: MemoryModel,
        first_cycle: int,
        patience: int,
    ) -> None:
        self._library = _library()
        self._layers = layers
        self._length = len(program)
        values = _Config(*(getattr(config, name) for name in _CONFIG))
        code = (_Instruction * len(program))()
        for target, instruction in zip(code, program, strict=True):
            target.engine, target.opcode = instruction.engine, instruction.opcode
            for name, value in instruction.fields.items():
                setattr(target, name, value & NEVER if name == "config" else value)
        states = (memory.stalls.state(channel) for channel in range(CHANNELS))
        timing = _MemoryTiming(
            memory.latency,
            memory.rate,
            memory.stalls.threshold,
            (ctypes.c_uint64 * CHANNELS)(*states),
            first_cycle,
            memory.reorder,
        )
        self._machine = ctypes.c_void_p(
            self._library.dna_open(
                ctypes.byref(values),
                ctypes.byref(timing),
                code,
                ctypes.c_uint64(len(program)),
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
