"""A sweep as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.explore.results import Row
from harness.hardware.area import DEVICE
from sim.memory.model import MemoryModel

TABLE_WIDTH = 130
"""Columns that the table needs; a narrower terminal wraps its lines."""


def show(rows: Sequence[Row], model: str, memory: MemoryModel) -> None:
    """Print a sweep to stdout.

    Args:
        rows: in their order.
        model: name of the network.
        memory: behind every machine.
    """
    console = Console(soft_wrap=True)
    console.width = max(console.width, TABLE_WIDTH)
    table = Table(
        title=f"{model}: latency modelled (memory latency {memory.latency} "
        f"cycles, {memory.bandwidth:g} of the DRAM port), area estimated; * is on the Pareto front",
        title_justify="left",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    table.add_column("", no_wrap=True)
    table.add_column("configuration", no_wrap=True)
    columns = ("MACs", "lanes", "DRAM B", "KiB", "MHz", "cycles", "ms", "images/s", "used", "GB/s")
    for name in (*columns, "k LUTs", "DSP", f"of {DEVICE}"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        config, area = row.parameters, row.area
        if config is None or area is None:
            continue
        table.add_row(
            "*" if row.front else "",
            escape(row.name),
            f"{config.macs:,}",
            str(config.lanes),
            str(config.dram_bytes_per_cycle),
            f"{config.feature_words * config.rows / 1024:,.0f}",
            f"{row.clock_mhz:g}",
            f"{row.cycles:,}",
            f"{row.latency_ms:.3f}",
            f"{row.throughput_per_s:,.1f}",
            f"{row.utilization:.1%}",
            f"{row.dram_gb_per_s:.1f}",
            f"{row.luts / 1e3:,.0f}",
            f"{area.total.dsp:,.0f}",
            f"{max(area.shares.values()):.0%}",
            style="bold" if row.front else None,
        )
    console.print(table)
    for name, reason in dict.fromkeys((row.name, row.refused) for row in rows if row.refused):
        console.print(f"refused: {name}: {reason}", markup=False, highlight=False)
