"""The simulator of the machine beside what it could be instead, on whole compiled networks.

    python -m tests.sweeps.simulators build/v1-micro.dna build/v1-f200.dna --json simulators.json

For every artifact and every simulator, in a process of its own: nothing cached, build, run from
start to interrupt, compare every value. ``parts`` is the simulator that there is, ``plain`` what
CXXRTL writes for the flat design, ``verilator-1`` and ``verilator-2`` are Verilator with so many
threads. micro and f200 take about half an hour on two cores; what takes longer than ``--limit`` to
build and run is given up. Exit code 1 means that a value differs.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from harness.board.link import verilator
from harness.commands.common import PATH, check_writable, json_option, write_json
from hw.config import DnaConfig

SIMULATORS = ("parts", "plain", "verilator-1", "verilator-2")
FAILED = 1
_HERE = Path(__file__).parent
_VERILOG = "proc -nomux -norom\nmemory_collect"


def verilated(
    component: type[Any], config: DnaConfig, driver: Path, prelude: str, folder: Path, threads: int
) -> Path:
    """A library with the functions of ``driver``, of the design that Verilator makes."""
    from amaranth.hdl import ClockDomain, Module

    from hw import rtlil
    from hw.component_ports import component_ports
    from sim import yosys
    from sim.rtl import library

    top = Module()
    top.domains.sync = domain = ClockDomain("sync", reset_less=True)
    top.submodules.dut = dut = component(config)
    ports = [*component_ports(dut).values()]
    names = {f"p{number}": (value, None) for number, (value, _) in enumerate(ports)}
    text = rtlil.convert(top, ports={"clk": (domain.clk, None), **names})
    (folder / "top.v").write_text(yosys.transform(text, _VERILOG, "write_verilog -norename"))
    _run_verilator(folder, threads)

    # The driver finds another design.h beside the headers that it includes.
    for room in (library.FOLDER, library.FOLDER.parent / "memory"):
        shutil.copytree(room, folder / room.name, ignore=shutil.ignore_patterns("*.py"))
    shutil.copy(_HERE / "verilated.h", folder / "rtl/design.h")
    (folder / "verilated_ports.h").write_text(
        "".join(
            f'PORT({number}, "{value.name}", {len(value)}, {int(way.value == "input")})\n'
            for number, (value, way) in enumerate(ports)
        )
    )
    (folder / "prelude.h").write_text(prelude)
    root = verilator.root()
    result = folder / "verilated.so"
    headers = [folder, folder / "model", f"{root}/include", f"{root}/include/vltstd"]
    library._run_compiler(
        *library.FLAGS,
        *(f"-I{header}" for header in headers),
        *("-include", folder / "prelude.h"),
        folder / "rtl/engines" / driver.name,
        *("-Wl,--start-group", *sorted((folder / "model").glob("*.a")), "-Wl,--end-group"),
        *("-pthread", "-o", result),
    )
    return result


def _run_verilator(folder: Path, threads: int) -> None:
    options = ["-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-assert", "-Wno-fatal"]
    arguments = ["--cc", "--build", "-j", "0", *options, "--threads", str(threads)]
    arguments += ["-CFLAGS", "-fPIC -march=native", "--prefix", "Vtop"]
    verilator.run([*arguments, "--top-module", "top", "--Mdir", "model", "top.v"], folder)


def measure(artifact: Path, simulator: str) -> dict[str, Any]:
    """Build, run and compare; in a process that does nothing else."""
    from sim.functional import FunctionalModel
    from sim.rtl import design, library
    from sim.rtl.engines import cxxrtl
    from sim.rtl.registry import open_simulator
    from sim.verify.rtl import verify_program
    from sw.artifact import load
    from tests.support.graphs import random_image

    loaded = load(artifact)
    program, graph = loaded.program, loaded.graph
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library.cache_folder = lambda: folder  # type: ignore[assignment]
        if simulator == "plain":
            design.find_kinds = lambda text: []  # type: ignore[assignment]
            design.split_eval = lambda source: None  # type: ignore[assignment]
        if simulator.startswith("verilator"):
            threads = int(simulator[-1])
            cxxrtl.build = lambda component, parameters, driver, prelude, waves: verilated(  # type: ignore[assignment]
                component, parameters["config"], driver, prelude, folder, threads
            )
        image = random_image(np.random.default_rng(0), graph)
        expected = FunctionalModel(graph).run_all(image)
        cpu, started = _cpu(), time.perf_counter()
        machine = open_simulator(program.config, size=program.memory.size, record_writes=True)
        built, built_cpu = time.perf_counter(), _cpu()
        with machine:
            result = verify_program(machine, program, image, expected)
        seconds = time.perf_counter() - built
    return {
        "config": program.config.name,
        "simulator": simulator,
        "build_seconds": built - started,
        "build_cpu_seconds": built_cpu - cpu,
        "run_seconds": seconds,
        "run_cpu_seconds": _cpu() - built_cpu,
        "cycles": result.cycles,
        "mismatches": result.mismatches,
        "values": result.values,
    }


def _cpu() -> float:
    """Seconds of CPU of this process and those that it has waited for."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(kind) for kind in kinds]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _child(artifact: Path, simulator: str, limit: float) -> dict[str, Any] | None:
    """The figures; None if there were none within ``limit`` seconds."""
    code = "import sys; from tests.sweeps.simulators import child; child(*sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(artifact), simulator],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            shown, _ = process.communicate(timeout=limit)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return None
            raise
    if process.returncode:
        raise click.ClickException(f"{simulator} failed on {artifact}")
    figures: dict[str, Any] = json.loads(shown)
    return figures


def child(artifact: str, simulator: str) -> None:
    """What runs in a process of its own."""
    print(json.dumps(measure(Path(artifact), simulator)))


def _table(rows: list[Mapping[str, Any]]) -> Table:
    table = Table(title="Whole networks, nothing cached", title_justify="left")
    for name in ("machine", "simulator"):
        table.add_column(name)
    for name in ("build s", "of CPU", "run s", "of CPU", "cycles/s", "differing values"):
        table.add_column(name, justify="right")
    for row in rows:
        if row["cycles"] is None:
            table.add_row(row["config"], row["simulator"], f"> {row['build_seconds']:.0f}")
            continue
        table.add_row(
            row["config"],
            row["simulator"],
            *(
                f"{row[name]:.0f}"
                for name in ("build_seconds", "build_cpu_seconds", "run_seconds", "run_cpu_seconds")
            ),
            f"{row['cycles'] / row['run_seconds']:,.0f}",
            f"{row['mismatches']} of {row['values']:,}",
        )
    return table


@click.command()
@click.argument("artifacts", type=PATH, nargs=-1, required=True)
@click.option("--only", multiple=True, type=click.Choice(SIMULATORS), help="Not all simulators.")
@click.option("--limit", default=1800.0, show_default=True, help="Seconds for each.")
@json_option
def main(
    artifacts: tuple[Path, ...], only: tuple[str, ...], limit: float, json_file: Path | None
) -> None:
    """Measure every simulator on every compiled network."""
    check_writable(json_file)
    rows: list[Mapping[str, Any]] = []
    for artifact in artifacts:
        for simulator in only or SIMULATORS:
            click.echo(f"{artifact.name}: {simulator} ...", err=True)
            rows.append(
                _child(artifact, simulator, limit)
                or {
                    "config": artifact.name,
                    "simulator": simulator,
                    "build_seconds": limit,
                    "cycles": None,
                    "mismatches": 0,
                }
            )
            write_json(json_file, {"simulators": rows})
    Console().print(_table(rows))
    if any(row["mismatches"] for row in rows):
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
