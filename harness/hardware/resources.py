"""What a machine takes of an FPGA: Yosys' estimate for each block, and what must come out of it."""

from __future__ import annotations

import dataclasses
import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.hardware.verilog import TOP, HardwareModule, text
from hw.config import DnaConfig
from sim import yosys
from sw.errors import DnaError

FAMILY = "xcup"
"""Xilinx UltraScale+, as Yosys calls it."""

RAM_WORDS = 64
"""A memory of more words than this must not become flip-flops."""

BLOCK_RAM_BITS = 18 * 1024
"""A memory of as many bits as half a block RAM or more must become block RAM or UltraRAM."""

DEPTH = 3
"""Levels of blocks below the top that are told apart."""

# Without pads and clock buffers: the machine is a block of a larger design. The wires are renamed
# since Amaranth's field x[0] of a structure and bit 0 of a wire x get one name in Yosys' abc9.
_SYNTHESIS = f"""read_rtlil design.il
rename -hide w:*
rename -enumerate w:*
synth_xilinx -family {FAMILY} -uram -noiopad -noclkbuf -top \\{TOP}
tee -q -o statistics.json stat -json
"""

_MAPPED = re.compile(r"^mapping memory (\S+) via \$__XILINX_([A-Z]+)", re.M)
_FLIP_FLOPS = re.compile(r"^using FF mapping for memory (\S+)", re.M)
_KINDS = {"BLOCKRAM": "block", "URAM": "ultra", "LUTRAM": "distributed"}
_NUMBERS = re.compile(r"(?:[_$]?\d+)+$")
_PROCESSING_ELEMENT = re.compile(r"\bpe_\d+_\d+$")

# LUTs that the cells of distributed memory occupy (Xilinx UG574).
_LUT_RAM = {
    "RAM32M": 4,
    "RAM32M16": 8,
    "RAM64M": 4,
    "RAM64M8": 8,
    "RAM32X1S": 1,
    "RAM32X1D": 2,
    "RAM64X1S": 1,
    "RAM64X1D": 2,
    "RAM128X1S": 2,
    "RAM128X1D": 4,
    "RAM256X1S": 4,
    "RAM256X1D": 8,
    "RAM512X1S": 8,
    "RAM32X16DR8": 8,
    "RAM64X8SW": 8,
}
_CELLS = (
    (re.compile(r"LUT[1-6]|INV"), "lut", 1.0),
    (re.compile(r"SRL16E|SRLC32E"), "lut", 1.0),
    (re.compile(r"FD[RSCP]E"), "ff", 1.0),
    (re.compile(r"DSP48E2"), "dsp", 1.0),
    (re.compile(r"RAMB36E2"), "bram", 1.0),
    (re.compile(r"RAMB18E2"), "bram", 0.5),
    (re.compile(r"URAM288"), "uram", 1.0),
)
# What comes with the LUTs of a slice.
_FREE = re.compile(r"CARRY[48]|MUXF[789]|GND|VCC|MUXCY|XORCY")


@dataclasses.dataclass(frozen=True)
class Resources:
    """Counts of what an FPGA has; ``bram`` in blocks of 36 Kbit, ``lut_ram`` is part of ``lut``."""

    lut: float = 0
    lut_ram: float = 0
    ff: float = 0
    dsp: float = 0
    bram: float = 0
    uram: float = 0

    def __add__(self, other: Resources) -> Resources:
        """Both together."""
        mine, its = dataclasses.astuple(self), dataclasses.astuple(other)
        return Resources(*(a + b for a, b in zip(mine, its, strict=True)))

    def __mul__(self, count: int) -> Resources:
        """``count`` times as much."""
        return Resources(*(count * value for value in dataclasses.astuple(self)))


@dataclasses.dataclass(frozen=True)
class Block:
    """Instances that stand side by side, ``depth`` levels below the top: all ``count`` together."""

    name: str
    depth: int
    count: int
    resources: Resources


@dataclasses.dataclass(frozen=True)
class MappedMemory:
    """A memory, of which there are ``count``, and what it became.

    Attributes:
        kind: block, ultra, distributed (LUTs as RAM), flip-flops, or none if Yosys left it out.
    """

    name: str
    words: int
    width: int
    count: int
    kind: str


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What :func:`estimate` found.

    Attributes:
        yosys: its version.
        blocks: parents before children, down to :data:`DEPTH` levels below the top.
        memories: all of them.
        problems: what did not become what it must, one sentence each.
    """

    yosys: str
    blocks: list[Block]
    memories: list[MappedMemory]
    problems: list[str]


def estimate(
    config: DnaConfig, modules: dict[str, HardwareModule], progress: Callable[[str], None]
) -> Estimate:
    """Synthesise each module once, alone, and multiply by the number of its instances.

    Nothing is optimised across the borders of modules, so a tool that does that needs less.

    Args:
        modules: the design of ``config``, from :func:`harness.hardware.verilog.design`.
        progress: called with the name of each of Yosys' passes as it starts.

    Raises:
        DnaError: Yosys failed, or used a cell that this module does not know.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "design.il").write_text(text(modules))
        log = yosys.run(_SYNTHESIS, folder, progress)
        statistics = json.loads((folder / "statistics.json").read_text())
    cells = {
        module.removeprefix("\\"): figures["num_cells_by_type"]
        for module, figures in statistics["modules"].items()
    }
    own = {name: _count(cells[name], modules) for name in modules}
    total = dict(own)
    for name in reversed(modules):  # children before parents
        for instance in modules[name].instances.values():
            total[name] += total[instance]
    counts = _instance_counts(modules)
    memories = list(_memories(modules, counts, log))
    return Estimate(
        yosys=statistics["creator"].split(" (")[0],
        blocks=[Block(TOP, 0, 1, total[TOP]), *_blocks(modules, total, [TOP])],
        memories=memories,
        problems=[
            *multiplier_problems(config, own, counts),
            *memory_problems(memories),
        ],
    )


def multiplier_problems(
    config: DnaConfig, own: dict[str, Resources], counts: dict[str, int]
) -> list[str]:
    """Which processing elements have no DSP block of their own, and whether any are missing.

    Args:
        own: by module: what it takes without its instances.
        counts: by module: how many instances of it there are.
    """
    elements = [name for name in own if _PROCESSING_ELEMENT.search(name)]
    problems = [
        f"the multiplier of {name} ({counts[name]} of them) takes {own[name].dsp:g} DSP blocks, "
        "not 1"
        for name in elements
        if own[name].dsp != 1
    ]
    found = sum(counts[name] for name in elements)
    if found != config.macs:
        problems.append(f"there are {found} processing elements, not {config.macs}")
    return problems


def memory_problems(memories: list[MappedMemory]) -> list[str]:
    """Which memories are in flip-flops, or in LUTs, though they are too large for it."""
    problems = []
    for memory in memories:
        large = memory.words * memory.width >= BLOCK_RAM_BITS
        wanted = {"block", "ultra"} | (set() if large else {"distributed"})
        if (large or memory.words > RAM_WORDS) and memory.kind not in wanted:
            problems.append(
                f"the memory {memory.name} ({memory.words} words of {memory.width} bits) became "
                f"{memory.kind}, not {' or '.join(sorted(wanted))} RAM"
            )
    return problems


def _count(cells: dict[str, int], modules: dict[str, HardwareModule]) -> Resources:
    """What the cells of one module take, instances of other modules left out."""
    figures = dict.fromkeys((field.name for field in dataclasses.fields(Resources)), 0.0)
    for kind, count in cells.items():
        if kind.removeprefix("\\") in modules or _FREE.fullmatch(kind):
            continue
        if kind in _LUT_RAM:
            figures["lut"] += _LUT_RAM[kind] * count
            figures["lut_ram"] += _LUT_RAM[kind] * count
            continue
        for pattern, resource, amount in _CELLS:
            if pattern.fullmatch(kind):
                figures[resource] += amount * count
                break
        else:
            raise DnaError(f"yosys used a cell that {Path(__file__).name} does not know: {kind!r}")
    return Resources(**figures)


def _instance_counts(modules: dict[str, HardwareModule]) -> dict[str, int]:
    """By module: how many instances of it the machine has."""
    counts = dict.fromkeys(modules, 0)
    counts[TOP] = 1
    for name, module in modules.items():  # parents before children
        for instance in module.instances.values():
            counts[instance] += counts[name]
    return counts


def _blocks(
    modules: dict[str, HardwareModule],
    total: dict[str, Resources],
    parents: list[str],
    path: str = "",
    depth: int = 1,
) -> Iterator[Block]:
    """The blocks in ``parents``; those whose names differ in their numbers only are one."""
    groups: dict[str, list[str]] = {}
    for parent in parents:
        for instance, module in modules[parent].instances.items():
            groups.setdefault(path + _NUMBERS.sub("", instance), []).append(module)
    for name, members in groups.items():
        together = sum((total[module] for module in members), Resources())
        yield Block(name, depth, len(members), together)
        if depth < DEPTH:
            yield from _blocks(modules, total, members, f"{name}.", depth + 1)


def _memories(
    modules: dict[str, HardwareModule], counts: dict[str, int], log: str
) -> Iterator[MappedMemory]:
    kinds = {name: _KINDS[kind] for name, kind in _MAPPED.findall(log)}
    kinds |= dict.fromkeys(_FLIP_FLOPS.findall(log), "flip-flops")
    for module in modules.values():
        for memory in module.memories:
            name = f"{module.name}.{memory.name}"
            yield MappedMemory(
                name, memory.words, memory.width, counts[module.name], kinds.get(name, "none")
            )
