"""What both ways of ``dna verify`` tell: the table of layers, the first wrong value."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from harness.host.terminal import Table, marked

if TYPE_CHECKING:
    from hw.config import DnaConfig
    from sim.verify.results import Mismatch

WAVES_BEFORE, WAVES_AFTER = 200, 20


class Row(Protocol):
    """A layer that was run."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def values(self) -> int: ...  # noqa: D102
    @property
    def mismatches(self) -> int: ...  # noqa: D102
    @property
    def cycles(self) -> int | None: ...  # noqa: D102
    @property
    def macs(self) -> int: ...  # noqa: D102
    @property
    def first(self) -> Mismatch | None: ...  # noqa: D102


def layer_table(config: DnaConfig, how: str, layers: Iterable[Row]) -> Table:
    """The layers; ``how`` ends the title. Layers without cycles leave two columns empty."""
    table = Table(
        "layer",
        title=f"{config.name}: {config.macs} MACs, {config.modules} modules of "
        f"{config.rows} x {config.columns}; {how}",
    )
    table.add_columns("output", "values", "differ", "cycles", "used", right=True)
    for layer in layers:
        used = layer.macs / (config.macs * layer.cycles) if layer.cycles else 0.0
        table.add_row(
            layer.name,
            "x".join(map(str, layer.shape)),
            f"{layer.values:,}",
            marked(f"{layer.mismatches:,}") if layer.mismatches else "0",
            "-" if layer.cycles is None else f"{layer.cycles:,}",
            f"{used:.1%}" if layer.macs and layer.cycles is not None else "",
        )
    return table


def explanation(layer: Row, arguments: Sequence[str]) -> str:
    """The first wrong value of a layer, its instruction, and the command that shows it in waves.

    Args:
        arguments: ``dna verify`` and what repeats the run; not used if the value has no cycle.
    """
    first = layer.first
    assert first is not None
    number, text = first.instruction
    got = "nothing was written" if first.got is None else f"got {first.got}"
    told = (
        f"{layer.name}: {layer.mismatches:,} of {layer.values:,} values differ; the first, at "
        f"(y, x, channel) {first.where}: expected {first.expected}, {got}"
    )
    if first.cycle is None:
        return f"{told}\n  instruction {number}: {text}"
    window = f"{max(0, first.cycle - WAVES_BEFORE)}:{max(0, first.cycle) + WAVES_AFTER}"
    again = [*arguments, "--waves", "machine.vcd", "--cycles", window]
    return (
        f"{told}, in cycle {first.cycle:,}\n  instruction {number}: {text}\n"
        f"  waves: {shlex.join(again)}"
    )
