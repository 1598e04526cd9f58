"""The designs that cocotb tests: Verilog is made of them, and shapes of words are read there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hw.config import PRESETS
from hw.conv.systolic_array import SystolicArray
from hw.top import Dna
from tests.hw.support.requantizer import Requantizer

DESIGNS: dict[str, Callable[[], Any]] = {
    "systolic_array": lambda: SystolicArray(rows=4, columns=4),
    "requantizer": lambda: Requantizer(lanes=4),
    "machine": lambda: Dna(PRESETS["nano"]),
}
"""By name; ``bench_NAME.py`` holds the cocotb tests of each."""
