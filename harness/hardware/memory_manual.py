"""The memories that have names, as a table for ``docs/memory.md``."""

from __future__ import annotations

from sim.memory.dram import Dram
from sim.memory.presets import PRESETS

TIMES = (
    ("tRCD", "t_rcd"),
    ("tRP", "t_rp"),
    ("tRAS", "t_ras"),
    ("tRC", "t_rc"),
    ("tCCD", "t_ccd"),
    ("tRRD", "t_rrd"),
    ("tFAW", "t_faw"),
    ("tWR", "t_wr"),
    ("tRTP", "t_rtp"),
    ("tWTR", "t_wtr"),
    ("tRFC", "t_rfc"),
    ("tREFI", "t_refi"),
)


def table() -> str:
    """All of them, a column each; times in ns, of two groups of banks and of one."""
    drams = list(PRESETS.values())
    lines = [
        ["", *(f"`{dram.name}`" for dram in drams)],
        ["---"] * (len(drams) + 1),
        ["GB/s", *(f"{dram.gigabytes_per_second:.3g}" for dram in drams)],
        ["channels x bits", *(f"{dram.channels} x {dram.width}" for dram in drams)],
        ["banks (groups)", *(f"{dram.banks} ({dram.groups})" for dram in drams)],
        ["row, bytes", *(str(dram.page_bytes) for dram in drams)],
        ["burst, bytes", *(str(dram.burst_bytes) for dram in drams)],
        ["clock, ns", *(f"{dram.clock_ps / 1000:g}" for dram in drams)],
        ["CL, CWL, clocks", *(f"{dram.read_clocks}, {dram.write_clocks}" for dram in drams)],
        *([name, *(_times(dram, field) for dram in drams)] for name, field in TIMES),
    ]
    rows = [f"| {' | '.join(line)} |" for line in lines]
    sources = [f"- `{dram.name}`: {dram.source}." for dram in drams]
    return "\n".join([*rows, "", *sources]) + "\n"


def _times(dram: Dram, field: str) -> str:
    fields = [field] if hasattr(dram, field) else [f"{field}_s", f"{field}_l"]
    return ", ".join(f"{getattr(dram, name) / 1000:g}" for name in fields)
