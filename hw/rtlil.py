"""From Amaranth to RTLIL, the input language of Yosys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

from amaranth.back import rtlil
from amaranth.hdl import Signal

from hw.component_ports import Ports, component_ports
from hw.shared_modules import share

_TOP = "attribute \\top 1\n"


class _ModuleEmitter(rtlil.ModuleEmitter):
    """Leaves out the initial content of memories that start with zeros everywhere."""

    def emit_memory(self, cell_idx: int, cell: Any) -> None:
        if any(cell.init):
            super().emit_memory(cell_idx, cell)


class _EmptyModuleChecker(rtlil.EmptyModuleChecker):
    """Writes modules of nothing but connections if there are instances of them."""

    def is_empty(self, module_idx: int) -> bool:
        return module_idx != 0 and bool(super().is_empty(module_idx))


def convert(
    component: Any, *, name: str = "top", ports: Sequence[Signal] | Ports | None = None
) -> str:
    """RTLIL of ``component``, what ``amaranth.back.rtlil.convert`` gives but in two regards.

    Equal components are written once and instantiated, see :mod:`hw.shared_modules`. Of f200 that
    takes seconds instead of minutes. A module stands before those that are instantiated in it, and
    has the name of its first instance: the path from the top, with dots.

    The initial content of a memory is not spelt out bit by bit if it is zeros. That would take a
    minute for the two megabytes of micro's feature memory, and then another one in Yosys. No block
    here depends on what a memory holds before it is written. CXXRTL starts with zeros all the same;
    in Verilog the content is undefined until it is written.

    Args:
        ports: signals to make ports of the top module, with names for them if they have others;
            those of its signature if not given.

    Raises:
        ValueError: something names a signal inside of a component that is not a port of it.
    """
    if ports is None:
        ports = component_ports(component)
    elif not isinstance(ports, Mapping):
        ports = {port.name: (port, None) for port in ports}
    with (
        mock.patch.object(rtlil, "ModuleEmitter", _ModuleEmitter),
        mock.patch.object(rtlil, "EmptyModuleChecker", _EmptyModuleChecker),
    ):
        first, *others = (
            str(rtlil.convert_fragment(module.fragment, module.ports, module.name)[0])
            for module in share(component, name, ports)
        )
    return "".join([first, *(text.replace(_TOP, "", 1) for text in others)])
