"""A target's figures for a machine, and what they rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.hardware.timing import ecp5
from harness.hardware.timing.cells import liberty, sta
from harness.hardware.timing.cells.asic import Asic
from harness.hardware.timing.cells.memories import Sram
from harness.hardware.timing.luts.levels import FAMILY, OFTEN, Levels
from harness.hardware.timing.netlist import design
from harness.hardware.timing.result import Timing
from hw.config import DnaConfig
from sim import yosys

_LEVELS = [
    f"levels of 6-input LUTs after synth_xilinx -family {FAMILY}: a LUT 1, a CARRY8 and a MUXF "
    "1/4, a RAM that is read 2, a DSP block without registers 4",
    "wires are not counted",
    "no path is false and none takes several cycles",
    f"what multiplies and is there {OFTEN} times or more is judged once",
]


def levels(config: DnaConfig, blocks: Sequence[str], progress: Callable[[str], None]) -> Timing:
    """Levels of ``blocks``, all of them if none is named."""
    machine = design.elaborate(config, progress)
    judge = Levels(machine, progress)
    judged = [judge.block(name) for name in (*blocks,) or (*machine.blocks, design.MACHINE)]
    return Timing(
        config=config.name,
        digest=config.digest,
        hardware=machine.hardware,
        target="levels",
        tools={yosys.PACKAGE: yosys.version()},
        corner=None,
        fmax_mhz=None,
        assumptions=_LEVELS,
        blocks=[one.block for one in judged],
        paths=[path for one in judged for path in one.paths],
        area={},
    )


def cells(
    config: DnaConfig,
    blocks: Sequence[str],
    progress: Callable[[str], None],
    *,
    file: Path,
    sram: Sram,
    wanted_mhz: float,
) -> Timing:
    """``blocks``, all of them if none is named, in the cells of a Liberty ``file``."""
    tool = sta.version()
    progress(f"reading {file}")
    library = liberty.read(file)
    machine = design.elaborate(config, progress)
    judge = Asic(machine, library, sram, wanted_mhz, progress)
    judged = [judge.block(name) for name in (*blocks,) or (*machine.blocks, design.MACHINE)]
    whole = next((one for one in judged if one.block.name == design.MACHINE), None)
    return Timing(
        config=config.name,
        digest=config.digest,
        hardware=machine.hardware,
        target=library.name,
        tools={yosys.PACKAGE: yosys.version(), "OpenSTA": tool},
        corner=library.corner,
        fmax_mhz=None if whole is None else whole.block.fmax_mhz,
        assumptions=[
            "before wires: no net has a length, and the clock no skew",
            str(sram),
            f"mapped and sized by abc for {wanted_mhz:g} MHz at this corner",
            "no path is false and none takes several cycles",
        ],
        blocks=[one.block for one in judged],
        paths=[path for one in judged for path in one.paths],
        area={
            name: {"cells": size}
            for one in judged
            if whole is None or one is whole
            for name, size in one.area.items()
        },
    )


def routed(config: DnaConfig, progress: Callable[[str], None]) -> Timing:
    """The machine placed and routed on an ECP5."""
    tool = ecp5.version()
    machine = design.elaborate(config, progress)
    found = ecp5.routed(machine, progress)
    return Timing(
        config=config.name,
        digest=config.digest,
        hardware=machine.hardware,
        target="ecp5",
        tools={yosys.PACKAGE: yosys.version(), "nextpnr-ecp5": tool},
        corner=ecp5.CORNER,
        fmax_mhz=found.block.fmax_mhz,
        assumptions=[
            "placed and routed alone: no pins, no memory controller, nothing beside it",
            "what enters and leaves at the ports is not timed",
            "no path is false and none takes several cycles",
        ],
        blocks=[found.block],
        paths=found.paths,
        area=found.area,
    )
