"""A sweep as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from harness.explore.results import Row
from harness.hardware.area import DEVICE
from harness.hardware.timing.clock import ASSUMED
from harness.host.terminal import Console, Table


def show(rows: Sequence[Row], model: str) -> None:
    """Print a sweep to stdout.

    Args:
        rows: in their order.
        model: name of the network.
    """
    console = Console()
    table = Table(
        "",
        "configuration",
        "memory",
        title=f"{model}: latency modelled, area and energy estimated; * is on the Pareto front",
    )
    columns = (
        "MACs",
        "lanes",
        "DRAM B",
        "KiB",
        "MHz",
        "cycles",
        "ms",
        "images/s",
        "used",
        "GB/s",
        "mJ",
    )
    table.add_columns(*columns, "k LUTs", "DSP", f"of {DEVICE}", right=True)
    for row in rows:
        config, area = row.parameters, row.area
        if config is None or area is None:
            continue
        table.add_row(
            "*" if row.front else "",
            row.name,
            row.memory,
            f"{config.macs:,}",
            str(config.lanes),
            str(config.dram_bytes_per_cycle),
            f"{config.feature_words * config.rows / 1024:,.0f}",
            f"{row.clock.mhz:g}{_mark(row)}",
            f"{row.cycles:,}",
            f"{row.latency_ms:.3f}",
            f"{row.throughput_per_s:,.1f}",
            f"{row.utilization:.1%}",
            f"{row.dram_gb_per_s:.1f}",
            f"{row.mj:.2f}",
            f"{row.luts / 1e3:,.0f}",
            f"{area.total.dsp:,.0f}",
            f"{max(area.shares.values()):.0%}",
            style="bold" if row.front else None,
        )
    console.print(table)
    for clock in dict.fromkeys(str(row.clock) for row in rows if row.refused is None):
        console.print(f"clock: {clock}")
    for name, reason in dict.fromkeys((row.name, row.refused) for row in rows if row.refused):
        console.print(f"refused: {name}: {reason}")


def _mark(row: Row) -> str:
    """What stands behind a clock that is not proved."""
    return " assumed" if row.clock.proof == ASSUMED else ""
