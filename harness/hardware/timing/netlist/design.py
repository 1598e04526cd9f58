"""The machine as RTLIL, and parts of it: what is synthesised, and where names come from."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import hw
from harness.hardware import verilog
from harness.hardware.timing import cache
from harness.hardware.timing.netlist.names import numbered_by_module
from harness.hardware.verilog import TOP, HardwareModule
from hw.config import DnaConfig
from sw.errors import DnaError

MACHINE = "machine"
"""What the whole of it is called among the blocks."""

_REGISTER = re.compile(
    r"^  cell \$s?dffc?e? [^\n]*\n(?:    [^\n]*\n)*?    connect \\Q \\(\S+)", re.M
)
_PORT = re.compile(r"^  wire (?:width (\d+) )?(input|output) \d+ +(\\\S+)$", re.M)
_SIGNED = re.compile(r"^(  wire [^\n]*)signed ", re.M)
_SOURCE = re.compile(r'^ *attribute \\src "[^"]*"\n', re.M)
_INDEX = re.compile(r"(?<=[^\s\]])\[(\d+)\]")
_OWN_NUMBER = re.compile(r"\$\d+$")
_LARGE = 100_000
"""Characters of a module's RTLIL: about 500 cells."""
_LARGE_BITS = 8192
"""Of a memory that is read without a clock, and so is registers and a tree of choices."""
_READ_AT_ONCE = re.compile(
    r"^  cell \$memrd_v2 [^\n]*\n(?:    [^\n]*\n)*?    parameter \\CLK_ENABLE 0$", re.M
)
_MULTIPLIES = re.compile(r"^  cell \$mul ", re.M)


class Design:
    """A machine as modules, each there once, and the tree of their instances.

    Args:
        modules: from :func:`harness.hardware.verilog.design`.
        hardware: digest of the sources that they were made from.
    """

    def __init__(self, modules: dict[str, HardwareModule], hardware: str = "") -> None:
        self.modules = numbered_by_module(modules)
        self.hardware = hardware

    @cached_property
    def counts(self) -> dict[str, int]:
        """By module: how many instances of it the machine has."""
        counts = dict.fromkeys(self.modules, 0)
        counts[TOP] = 1
        for name, module in self.modules.items():  # parents before children
            for inner in module.instances.values():
                counts[inner] += counts[name]
        return counts

    @cached_property
    def blocks(self) -> dict[str, str]:
        """The blocks that are judged if nobody names one: their paths, and the module of each.

        What stands in the machine and in its core; each module once, by its first path.
        """
        found: dict[str, str] = {}
        for instance, module in self.modules[TOP].instances.items():
            inner = self.modules[module].instances
            if instance != "core":
                found[_OWN_NUMBER.sub("", instance)] = module
                continue
            for name, below in inner.items():
                if below not in found.values():
                    found[f"core.{_OWN_NUMBER.sub('', name)}"] = below
        return found

    def module_of(self, path: str) -> str:
        """The module of which the block ``path`` is an instance.

        Raises:
            DnaError: there is no such block; the message names those beside it.
        """
        if path in ("", MACHINE, TOP):
            return TOP
        module = TOP
        parts = path.removeprefix(f"{TOP}.").split(".")
        for depth, part in enumerate(parts):
            inner = {_OWN_NUMBER.sub("", k): v for k, v in self.modules[module].instances.items()}
            if part not in inner:
                where = ".".join(parts[:depth]) or "the machine"
                raise DnaError(
                    f"there is no block {path!r}: in {where} are "
                    + (", ".join(sorted(inner)) or "no blocks")
                )
            module = inner[part]
        return module

    def below(self, top: str, stubs: frozenset[str] = frozenset()) -> list[str]:
        """``top`` and the modules inside it, parents first; nothing inside of ``stubs``."""
        wanted, found = [top], []
        while wanted:
            name = wanted.pop()
            if name not in found:
                found.append(name)
                if name == top or name not in stubs:
                    wanted += self.modules[name].instances.values()
        return [name for name in self.modules if name in found]

    def text(self, top: str, stubs: frozenset[str] = frozenset()) -> str:
        """RTLIL of ``top`` and what is in it; of ``stubs`` only the ports, as black boxes."""
        return "".join(
            _black_box(self.modules[name])
            if name in stubs and name != top
            else plain(self.modules[name].rtlil)
            for name in self.below(top, stubs)
        )

    def arrays(self, at_least: int) -> frozenset[str]:
        """Modules that are judged once: they multiply, and there are ``at_least`` so many of them.

        So is a module that is there more than once and holds so many of them, or is large, or a
        large queue.
        """
        multiplies: dict[str, bool] = {}
        for name in reversed(self.modules):
            module = self.modules[name]
            multiplies[name] = bool(_MULTIPLIES.search(module.rtlil)) or any(
                multiplies[inner] for inner in module.instances.values()
            )
        often = {
            name for name, count in self.counts.items() if count >= at_least and multiplies[name]
        }
        large = {
            name
            for name, module in self.modules.items()
            if self.counts[name] > 1
            and (
                len(module.rtlil) >= _LARGE
                or _queue_bits(module) >= _LARGE_BITS
                or sum(inner in often for inner in module.instances.values()) >= at_least
            )
        }
        return frozenset(often | large)

    def ports(self, module: str) -> dict[str, tuple[str, int]]:
        """By name, the ports of a module: ``input`` or ``output``, and bits."""
        return _ports(self.modules[module])

    def registers(self, top: str, stubs: frozenset[str] = frozenset()) -> set[str]:
        """Names of all registers in ``top``, by their paths from there."""
        return {
            f"{path}{name}"
            for path, module in self.paths(top, stubs)
            for name in self._own_registers[module]
        }

    def paths(self, top: str, stubs: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
        """Every instance in ``top``, itself first: its path with a dot behind, and its module."""
        wanted = [("", top)]
        while wanted:
            path, module = wanted.pop()
            yield path, module
            for name, inner in self.modules[module].instances.items():
                if inner not in stubs:
                    wanted.append((f"{path}{name}.", inner))

    @cached_property
    def _own_registers(self) -> dict[str, list[str]]:
        return {
            name: _REGISTER.findall(plain(module.rtlil)) for name, module in self.modules.items()
        }


def plain(rtlil: str) -> str:
    """RTLIL without source lines and signs of wires, and with names that no tool misreads.

    Yosys' abc9 gives Amaranth's field ``x[0]`` of a structure and bit 0 of a wire ``x`` one name:
    the field becomes ``x(0)``. OpenSTA does not read signed ports.
    """
    return _INDEX.sub(r"(\1)", _SIGNED.sub(r"\1", _SOURCE.sub("", rtlil)))


def _queue_bits(module: HardwareModule) -> int:
    """Of the memories of a module that is read without a clock; 0 of another one."""
    if not _READ_AT_ONCE.search(module.rtlil):
        return 0
    return sum(memory.words * memory.width for memory in module.memories)


def _ports(module: HardwareModule) -> dict[str, tuple[str, int]]:
    return {
        name.removeprefix("\\"): (way, int(width or 1))
        for width, way, name in _PORT.findall(plain(module.rtlil))
    }


def _black_box(module: HardwareModule) -> str:
    lines = (
        f"  wire width {width} {way} {number} \\{name}\n"
        for number, (name, (way, width)) in enumerate(_ports(module).items())
    )
    return f"attribute \\blackbox 1\nmodule \\{module.name}\n{''.join(lines)}end\n"


def elaborate(config: DnaConfig, progress: Callable[[str], None]) -> Design:
    """The design of ``config``; kept, since a large one takes a minute."""
    sources = hardware()  # now: judging takes minutes, in which somebody may change them
    key = cache.digest("rtlil", sources, config.digest)

    def make() -> str:
        progress(f"elaborating {config.name}")
        return verilog.text(verilog.design(config))

    return Design(verilog.read_design(cache.text(key, make)), sources)


def hardware() -> str:
    """Digest of what any machine is made from: the sources of ``hw`` and Amaranth's version."""
    root = Path(hw.__path__[0])
    digest = hashlib.sha256(importlib.metadata.version("amaranth").encode())
    for path in sorted(root.rglob("*.py")):
        digest.update(f"\n{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
