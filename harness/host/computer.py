"""The computer that we run on, and that figures of host time were measured on."""

from __future__ import annotations

import platform
import resource
import sys
from pathlib import Path

from sim.native import cpus

__all__ = ["cpus", "description", "peak_memory"]

CPUINFO = Path("/proc/cpuinfo")


def peak_memory() -> float:
    """The most memory that this process has had so far, in MiB (its children not counted)."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def description() -> str:
    """Processor, how many of it, and system: enough to tell two computers apart in a report."""
    model = platform.processor() or platform.machine()
    if CPUINFO.is_file():
        for line in CPUINFO.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
                break
    return f"{model}, {cpus()} CPUs, {platform.system()} {platform.release()}"
