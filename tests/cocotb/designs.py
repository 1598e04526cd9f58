"""The designs that cocotb tests: Verilog is made of their RTLIL, shapes of words are read there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from amaranth.back import rtlil

from harness.hardware import verilog
from hw.config import PRESETS
from hw.conv.systolic_array import SystolicArray
from tests.hw.support.requantizer import Requantizer

COMPONENTS: dict[str, Callable[[], Any]] = {
    "systolic_array": lambda: SystolicArray(rows=4, columns=4),
    "requantizer": lambda: Requantizer(lanes=4),
}


def _component(name: str) -> str:
    text: str = rtlil.convert(COMPONENTS[name](), name=name, emit_src=False)
    return text


def _machine() -> str:
    """All that ``dna rtl --memory-clock`` ships of nano, as it ships it."""
    nano = PRESETS["nano"]
    modules = verilog.wrapper(nano, memory_clock=True) | verilog.design(nano)
    return verilog.text(modules)


DESIGNS: dict[str, Callable[[], str]] = {
    **{name: partial(_component, name) for name in COMPONENTS},
    verilog.WRAPPER: _machine,
}
"""RTLIL by name; ``bench_NAME.py`` holds the cocotb tests of each."""
