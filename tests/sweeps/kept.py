"""Tries again what the sweeps have found.

    python -m tests.sweeps.kept

The tests do it, too, but for machines other than nano in Amaranth's simulator, since each takes
minutes to compile; what was wrong with the compiled machine alone, only this notices. Exit code 0
means that every case is right, 1 that one is not or that there is none.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from sim.rtl.simulator import Simulator
from sw.program import Program
from tests.sweeps import findings
from tests.sweeps.cycles_sweep import Comparison, beside
from tests.sweeps.findings import Finding
from tests.sweeps.fuzz_cases import Failure, run


def kept(folder: Path = findings.FOLDER) -> list[Path]:
    """The files."""
    return sorted(folder.glob("*.json"))


def again(found: Finding, engine: str) -> Failure | None:
    """What is wrong: values that differ from the reference's, cycles from the model's."""
    compared: list[Comparison] = []

    def look(program: Program, cycles: int, machine: Simulator) -> None:
        compared.append(beside(program, found.case.memory, cycles, machine.layer_activity()))

    outcome = run(found.case, found.machine, engine=engine, look=look)
    if outcome.failure is not None or outcome.values == 0:
        return outcome.failure or Failure("nothing compared", outcome.refused or "")
    return compared[0].failure


@click.command()
def main() -> None:
    """Run every case that a sweep has kept on its machine, compiled."""
    failures = 0
    for path in kept():
        failure = again(findings.load(path), "cxxrtl")
        failures += failure is not None
        click.echo(f"{path.name}: {failure.text if failure else 'right'}")
    sys.exit(1 if failures or not kept() else 0)


if __name__ == "__main__":
    main()
