"""The machine that figures were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def description() -> str:
    """Processor, how many of it, and system: enough to tell two machines apart in a report."""
    model = platform.processor() or platform.machine()
    if CPUINFO.is_file():
        for line in CPUINFO.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
                break
    return f"{model}, {cpus()} CPUs, {platform.system()} {platform.release()}"
