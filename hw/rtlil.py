"""From Amaranth to RTLIL, the input language of Yosys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest import mock

from amaranth.back import rtlil
from amaranth.hdl import Value


class _ModuleEmitter(rtlil.ModuleEmitter):
    """Leaves out the initial content of memories that start with zeros everywhere."""

    def emit_memory(self, cell_idx: int, cell: Any) -> None:
        if any(cell.init):
            super().emit_memory(cell_idx, cell)


def convert(component: Any, *, name: str = "top", ports: Sequence[Value] | None = None) -> str:
    """RTLIL of ``component``, as ``amaranth.back.rtlil.convert`` gives it but for large memories.

    Amaranth spells out the initial content of every memory bit by bit: a minute for the two
    megabytes of micro's feature memory, and then another one in Yosys. No block here depends on
    what a memory holds before it is written, so zeros are not spelt out. CXXRTL starts with zeros
    all the same; in Verilog the content is undefined until it is written.

    Args:
        ports: signals to make ports of the top module; those of its signature if not given.
    """
    with mock.patch.object(rtlil, "ModuleEmitter", _ModuleEmitter):
        return str(rtlil.convert(component, name=name, ports=ports))
