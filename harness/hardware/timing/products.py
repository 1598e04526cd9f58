"""Which products of a machine are made of LUTs because a device has too few multipliers."""

from __future__ import annotations

import re

import msgspec

from harness.hardware.timing.netlist.design import Design
from harness.hardware.verilog import TOP

_WIDTH = 18
"""Bits that a multiplier of the device takes of each factor, a sign among them."""
_LEAST_WIDTH = 2
"""Yosys makes products with a narrower factor of LUTs."""
_PRODUCT = re.compile(
    r"^  cell \$mul \$(\d+)\n(?:    parameter [^\n]*\n)*?"
    r"    parameter \\A_WIDTH (\d+)\n    parameter \\B_WIDTH (\d+)\n",
    re.M,
)


class Product(msgspec.Struct, frozen=True, order=True):
    """A product that stands in the machine.

    Attributes:
        bits: of partial products, for each multiplier that it takes.
        multipliers: how many those are.
        cell: its name once Yosys has flattened the machine, as a pattern of Yosys' ``select``.
    """

    bits: float
    multipliers: int
    cell: str


def products(design: Design) -> list[Product]:
    """All of them, those that save the least as multipliers first."""
    found = []
    for path, module in design.paths(TOP):
        for number, a, b in _PRODUCT.findall(design.modules[module].rtlil):
            if min(int(a), int(b)) >= _LEAST_WIDTH:
                count = _pieces(int(a)) * _pieces(int(b))
                flat = "".join(f"?{part}." for part in path.split(".")[:-1])
                cell = f"$flatten{flat}${number}" if flat else f"${number}"
                found.append(Product(int(a) * int(b) / count, count, cell))
    return sorted(found)


def of_luts(design: Design, multipliers: int) -> list[Product]:
    """Those that leave the others no more than ``multipliers`` of a device, the smallest first."""
    left = products(design)
    taken = sum(product.multipliers for product in left)
    soft = []
    for product in left:
        if taken <= multipliers:
            break
        soft.append(product)
        taken -= product.multipliers
    return soft


def _pieces(width: int) -> int:
    """Into how many factors Yosys cuts one: each but the last gives up a bit for the sign."""
    return 1 if width <= _WIDTH else 1 + _pieces(width - (_WIDTH - 1))
