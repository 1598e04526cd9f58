"""Renews what the area model knows of Yosys: synthesises small machines and fits its constants.

    python -m tests.sweeps.area          # all machines that have changed: 5 minutes of CPU each
    python -m tests.sweeps.area --fit    # the fit alone, to what was measured before

Writes ``tests/harness/hardware/synthesised.json`` (what Yosys says, and of which hardware) and
``harness/hardware/area_constants.py``. Exit code 1 if a machine is further off than LIMIT.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import msgspec
import numpy as np

from harness.hardware import area_constants, resources, verilog
from harness.hardware.area import AreaBlock, Part, area, parts_of
from harness.hardware.area_constants import CONSTANTS
from harness.hardware.verilog import TOP, HardwareModule
from hw.config import PRESETS, DnaConfig
from sw.host import files
from tests.sweeps.machines import MACHINES

RECORD = Path(__file__).parents[1] / "harness" / "hardware" / "synthesised.json"
MODULE = Path(area_constants.__file__)

FITTED = (
    PRESETS["nano"],
    MACHINES["8x2x2"],
    DnaConfig(
        name="4x8x8",
        modules=4,
        rows=8,
        columns=8,
        lanes=16,
        accumulation_depth=256,
        dram_bytes_per_cycle=16,
        feature_words=16384,
        weight_fifo_words=128,
    ),
)
"""The machines that the constants come from."""

JUDGE = DnaConfig(
    name="2x16x16",
    modules=2,
    rows=16,
    columns=16,
    lanes=32,
    accumulation_depth=64,
    dram_bytes_per_cycle=32,
    feature_words=8192,
    weight_fifo_words=64,
)
"""One that they do not come from."""

LIMIT = 0.05
"""How far LUTs or flip-flops of a whole machine may be off; the other kinds must be equal."""

KINDS = ("lut", "ff", "dsp", "bram", "uram")

BLOCKS: Mapping[str, Sequence[str]] = {
    "DMA": ("core.dma_read", "core.dma_write"),
    "feature memory": ("core.features",),
    "LOAD": ("core.load",),
    "WEIGHTS": ("core.weights",),
    "STORE": ("core.store",),
    "CONV arrays": ("core.conv.array",),
    "CONV interconnect": ("core.conv.interconnect",),
    "CONV accumulation": ("core.conv.bank",),
    "POST": ("core.post",),
    "POOL": ("core.pool",),
    "DEPTHWISE": ("core.depthwise",),
}
"""Which of Yosys' blocks the blocks of the model are; the two that are missing are the rest of
``core.conv``, and of the machine."""


class Logic(msgspec.Struct, frozen=True):
    """How much hardware there is before synthesis: changes if the machine does."""

    registers: int
    cells: int
    choices: int


class Measured(msgspec.Struct, frozen=True):
    """What Yosys says of a machine."""

    machine: DnaConfig
    logic: Logic
    blocks: dict[str, AreaBlock]

    @property
    def total(self) -> AreaBlock:
        """All blocks."""
        blocks = self.blocks.values()
        return AreaBlock("machine", *(sum(getattr(b, kind) for b in blocks) for kind in KINDS))


class Record(msgspec.Struct):
    """The file of all that was measured."""

    yosys: str
    machines: dict[str, Measured]


_REGISTER = re.compile(
    r"^  cell \$dff [^\n]*\n(?:    parameter [^\n]*\n)*?    parameter \\WIDTH (\d+)", re.M
)


def registers(modules: Mapping[str, HardwareModule], name: str = TOP) -> int:
    """Bits of registers in a module and all that is in it."""
    inside = sum(registers(modules, instance) for instance in modules[name].instances.values())
    return inside + sum(map(int, _REGISTER.findall(modules[name].rtlil)))


def logic(modules: Mapping[str, HardwareModule]) -> Logic:
    """Of a machine."""

    def count(pattern: str, name: str = TOP) -> int:
        inside = sum(count(pattern, instance) for instance in modules[name].instances.values())
        return inside + len(re.findall(pattern, modules[name].rtlil, re.M))

    return Logic(registers(modules), count(r"^  cell \$"), count(r"^ +case "))


def read() -> Record:
    """What was measured before."""
    return msgspec.json.decode(RECORD.read_bytes(), type=Record)


def measure(config: DnaConfig, modules: dict[str, HardwareModule]) -> tuple[str, Measured]:
    """Yosys' version, and what it says of a machine."""
    estimate = resources.estimate(config, modules, lambda step: None)
    said = {block.name: block.resources for block in estimate.blocks}

    def figures(names: Sequence[str]) -> dict[str, float]:
        return {kind: sum(getattr(said[name], kind) for name in names) for kind in KINDS}

    found = {name: figures(names) for name, names in BLOCKS.items()}
    conv = [figures for name, figures in found.items() if name.startswith("CONV ")]
    for name, whole, inside in (
        ("CONV reader, unpacker", "core.conv", conv),
        ("control", TOP, found.values()),
    ):
        rest = figures([whole])
        for other in inside:
            rest = {kind: rest[kind] - other[kind] for kind in KINDS}
        found[name] = rest
    blocks = {name: AreaBlock(name, **figures) for name, figures in found.items()}
    return estimate.yosys, Measured(config, logic(modules), blocks)


def fit(record: Record) -> dict[str, dict[str, tuple[float, ...]]]:
    """Constants of every block, least squares of the relative errors, none below zero."""
    parts = {config.name: {part.name: part for part in parts_of(config)} for config in FITTED}
    constants = {}
    for name in next(iter(parts.values())):
        constants[name] = {
            kind: _fit(
                [parts[config.name][name] for config in FITTED],
                [record.machines[config.name].blocks[name] for config in FITTED],
                kind,
            )
            for kind in ("lut", "ff")
        }
    return constants


def _fit(parts: list[Part], measured: list[AreaBlock], kind: str) -> tuple[float, ...]:
    sizes = np.array([part.sizes for part in parts])
    wanted = np.array([getattr(block, kind) for block in measured])
    rest = wanted - [getattr(part.known, kind) for part in parts]
    weight = 1 / np.maximum(wanted, 1)
    best, error = np.zeros(sizes.shape[1]), np.inf
    for count in range(1, sizes.shape[1] + 1):
        for chosen in map(list, itertools.combinations(range(sizes.shape[1]), count)):
            factors = np.zeros(sizes.shape[1])
            factors[chosen] = np.linalg.lstsq(
                sizes[:, chosen] * weight[:, None], rest * weight, rcond=None
            )[0]
            off = float(np.sum(((sizes @ factors - rest) * weight) ** 2))
            if min(factors) >= 0 and off < error - 1e-9:
                best, error = factors, off
    return tuple(float(f"{factor:.3g}") for factor in best)


def write_constants(constants: Mapping[str, Mapping[str, Sequence[float]]], yosys: str) -> None:
    """The module that the product reads."""
    lines = [
        '"""What `python -m tests.sweeps.area` found: LUTs and flip-flops for the sizes of blocks.',
        "",
        f"From {yosys}. Sizes are those of :func:`harness.hardware.area.parts_of`.",
        '"""',
        "",
        "CONSTANTS: dict[str, dict[str, tuple[float, ...]]] = {",
    ]
    for name, kinds in constants.items():
        values = ", ".join(f'"{kind}": {tuple(kinds[kind])!r}' for kind in kinds)
        lines.append(f'    "{name}": {{{values}}},')
    files.write(MODULE, "\n".join([*lines, "}", ""]))


def is_off(measured: Measured) -> bool:
    """Whether the model is too far from what Yosys says of the whole machine."""
    mine, its = area(measured.machine).total, measured.total
    return any(
        abs(getattr(mine, kind) - getattr(its, kind)) > limit * getattr(its, kind)
        for kind, limit in {"lut": LIMIT, "ff": LIMIT, "dsp": 0, "bram": 0, "uram": 0}.items()
    )


@click.command()
@click.option("--fit", "fit_only", is_flag=True, help="Synthesise nothing.")
def main(fit_only: bool) -> None:
    """Synthesise the machines that have changed, and fit the constants of the area model."""
    record = read() if RECORD.exists() else Record("", {})
    for config in () if fit_only else (*FITTED, JUDGE):
        modules = verilog.design(config)
        known = record.machines.get(config.name)
        if known is None or (known.machine, known.logic) != (config, logic(modules)):
            click.echo(f"synthesising {config.name} ...")
            record.yosys, record.machines[config.name] = measure(config, modules)
            files.write(RECORD, msgspec.json.format(msgspec.json.encode(record)) + b"\n")
    constants = fit(record)
    write_constants(constants, record.yosys)
    CONSTANTS.update(constants)
    for measured in record.machines.values():
        total = area(measured.machine).total
        for block in [*area(measured.machine).blocks, total]:
            says = measured.total if block is total else measured.blocks[block.name]
            click.echo(f"{measured.machine.name:8} {block.name:24}" + _beside(block, says))
    if any(is_off(measured) for measured in record.machines.values()):
        sys.exit(1)


def _beside(block: AreaBlock, says: AreaBlock) -> str:
    pairs = ((kind, getattr(block, kind), getattr(says, kind)) for kind in KINDS)
    return ", ".join(
        f"{kind} {mine:,.0f} / {its:,.0f}" + (f" ({mine / its - 1:+.1%})" if its else "")
        for kind, mine, its in pairs
        if mine or its
    )


if __name__ == "__main__":
    main()
