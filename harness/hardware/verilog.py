"""Verilog of a machine. Every block stands there once: RTLIL has equal components as one module."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from hw.config import DnaConfig
from sim import yosys
from sw.host import files

TOP, WRAPPER = "dna", "dna_axi"

_MODULE = re.compile(r"((?:^attribute [^\n]*\n)*)^module \\(\S+)\n(.*?)^end\n", re.M | re.S)
_INSTANCE = re.compile(r"^  cell \\(\S+) \\(\S+)$", re.M)
_MEMORY = re.compile(r"^  memory width (\d+) size (\d+) \\(\S+)$", re.M)

# As amaranth.back.verilog does it: Yosys' own Verilog of processes and memories is less readable.
_WRITE = """read_rtlil design.il
proc -nomux -norom
memory_collect
delete */s:0
write_verilog -norename design.v
"""
# Signals of no bits are left out, since Verilog has none: [-1:0] is a wire of two.
_LINT = {
    "WIDTHEXPAND": "operands are extended to the width of the result",
    "WIDTHTRUNC": "a vector is true if any of its bits is set",
    "CASEINCOMPLETE": "what no case assigns has its value from the assignment in front of it",
    "CMPCONST": "the last of a row of comparisons may be with what nothing exceeds",
    "SYMRSVDWORD": "a signal may be named like a word of C++",
}
"""What Verilator warns of that is meant so, and why."""


@dataclasses.dataclass(frozen=True)
class Memory:
    """A memory in a module: ``words`` of ``width`` bits."""

    name: str
    words: int
    width: int


@dataclasses.dataclass(frozen=True)
class HardwareModule:
    """A module of the design.

    Attributes:
        name: path of the first block that is an instance of it, from the top, with dots.
        instances: name of each instance in it, and of which module that is.
        memories: the memories in it, those of its instances not among them.
        rtlil: its text.
    """

    name: str
    instances: dict[str, str]
    memories: tuple[Memory, ...]
    rtlil: str


def design(config: DnaConfig) -> dict[str, HardwareModule]:
    """The modules of :class:`hw.top.Dna` by name, :data:`TOP` first."""
    from hw import rtlil
    from hw.top import Dna

    return read_design(relative_sources(rtlil.convert(Dna(config), name=TOP)))


def wrapper(config: DnaConfig, *, memory_clock: bool = False) -> dict[str, HardwareModule]:
    """The modules of :class:`hw.axi_top.DnaAxi`, in which that of :func:`design` is placed."""
    from hw import rtlil
    from hw.axi_top import DnaAxi

    return read_design(
        relative_sources(rtlil.convert(DnaAxi(config, memory_clock=memory_clock), name=WRAPPER))
    )


def relative_sources(rtlil: str) -> str:
    """``rtlil`` with the source files named from the package on: the same on every computer."""
    import contextlib

    import amaranth

    import hw

    # The environment may lie inside the repository, so it comes first.
    for folder in (
        Path(amaranth.__file__).parents[1],
        Path(contextlib.__file__).parent,
        Path(hw.__path__[0]).parent,
    ):
        rtlil = rtlil.replace(f'"{folder}/', '"')
    return rtlil


def read_design(rtlil: str) -> dict[str, HardwareModule]:
    """The modules in a text of RTLIL, in its order: parents before children."""
    return {
        name: HardwareModule(
            name,
            {instance: module for module, instance in _INSTANCE.findall(body)},
            tuple(
                Memory(memory, int(words), int(width))
                for width, words, memory in _MEMORY.findall(body)
            ),
            f"{attributes}module \\{name}\n{body}end\n",
        )
        for attributes, name, body in _MODULE.findall(rtlil)
    }


def write_verilog(
    modules: dict[str, HardwareModule], path: Path, progress: Callable[[str], None]
) -> None:
    """Write the design as Verilog to ``path``.

    Memories have no initial content: nothing in the machine depends on it. Comments tell Verilator
    which of its warnings are about what is meant so.

    Raises:
        DnaError: Yosys failed, or ``path`` cannot be written.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "design.il").write_text(text(modules))
        yosys.run(_WRITE, folder, progress)
        off = "".join(f"/* verilator lint_off {name} */ // {why}\n" for name, why in _LINT.items())
        on = "".join(f"/* verilator lint_on {name} */\n" for name in _LINT)
        files.write(path, f"{off}{(folder / 'design.v').read_text()}{on}")


def text(modules: dict[str, HardwareModule]) -> str:
    """RTLIL of the whole design."""
    return "".join(module.rtlil for module in modules.values())
