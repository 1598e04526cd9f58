"""The ports of a component, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Const, Signal, Value
from amaranth.hdl._ir import PortDirection
from amaranth.lib import fifo, wiring

# Amaranth's FIFOs have no signature; the other signals of one are outputs.
_FIFO_INPUTS = ("w_data", "w_en", "r_en")
Ports = Mapping[str, tuple[Value, PortDirection | None]]


def component_ports(component: Any) -> Ports:
    """The ports of a component by name, parts of a name joined by two underscores.

    What is constant, as the ``ready`` of a stream that nobody may stop, is no port.
    """
    if isinstance(component, fifo.FIFOInterface):
        return {
            name: (value, PortDirection.Input if name in _FIFO_INPUTS else PortDirection.Output)
            for name, value in vars(component).items()
            if isinstance(value, Signal)
        }
    if not isinstance(component, wiring.Component):
        return {}
    return {
        "__".join(map(str, path)): (
            Value.cast(value),
            PortDirection.Input if member.flow is wiring.In else PortDirection.Output,
        )
        for path, member, value in component.signature.flatten(component)
        if not isinstance(value, Const)
    }
