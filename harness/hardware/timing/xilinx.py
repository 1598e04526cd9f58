"""What a cell of Xilinx UltraScale+ costs, in levels of 6-input LUTs.

A LUT counts 1, a CARRY8 a quarter (Yosys writes it as two CARRY4), a wide multiplexer (MUXF7 to
MUXF9) a quarter, reading a RAM 2 (block, ultra or distributed) unless its output is registered, a
DSP block without registers 4: 2 for its multiplier and 2 for its adder, none where a register
stands in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.hardware.timing.graph import Arc, CellTiming
from sw.errors import DnaError

LUT, CARRY4, WIDE, RAM = 1.0, 0.125, 0.25, 2.0
MULTIPLIER, ADDER = 2.0, 2.0

_LUT = re.compile(r"LUT[1-6]|INV")
_FLIP_FLOP = re.compile(r"FD[RSCP]E")
_WIDE = re.compile(r"MUXF[789]")
_BLOCK_RAM = re.compile(r"RAMB(18|36)E2")
_LUT_RAM = re.compile(r"RAM\d+(M\d*|X\w+)")
_SIDE = re.compile(r"DOUTP?_?([AB])")

Connections = Mapping[str, Sequence[int | str]]


def timing(
    kind: str, parameters: Mapping[str, Any], pins: Connections, ways: Mapping[str, str]
) -> CellTiming:
    """What is in front of, behind and through a cell.

    Args:
        kind: type of the cell.
        parameters: as Yosys' JSON has them.
        pins: by name: the nets, constants as strings.
        ways: by name: input or output.

    Raises:
        DnaError: a cell that this module does not know.
    """
    ins = {pin: bits for pin, bits in pins.items() if ways[pin] == "input"}
    outs = {pin: bits for pin, bits in pins.items() if ways[pin] == "output"}
    if _LUT.fullmatch(kind):
        return CellTiming(arcs=tuple(_all(ins, outs, LUT)))
    if kind == "CARRY4":
        return CellTiming(arcs=tuple(_carry(pins)))
    if _WIDE.fullmatch(kind):
        return CellTiming(arcs=tuple(_all(ins, outs, WIDE)))
    if _FLIP_FLOP.fullmatch(kind):
        return CellTiming(
            starts=tuple((bit, 0.0) for bit in pins["Q"]),
            ends=tuple((bit, 0.0, pin) for pin, bits in ins.items() if pin != "C" for bit in bits),
        )
    if _BLOCK_RAM.fullmatch(kind) or kind == "URAM288":
        return _ram(parameters, ins, outs)
    if _LUT_RAM.fullmatch(kind):
        return _lut_ram(ins, outs)
    if kind == "DSP48E2":
        return _dsp(parameters, ins, outs)
    if kind in ("GND", "VCC"):
        return CellTiming()
    raise DnaError(f"yosys used a cell whose levels dna does not know: {kind!r}")


def _all(ins: Connections, outs: Connections, cost: float) -> Iterator[Arc]:
    sources = tuple(bit for bits in ins.values() for bit in bits)
    for bits in outs.values():
        for bit in bits:
            yield sources, bit, cost


def _carry(pins: Connections) -> Iterator[Arc]:
    """A bit of the sum depends on the bits below it."""
    into = (*pins.get("CI", ()), *pins.get("CYINIT", ()))
    for place in range(4):
        select, data = tuple(pins["S"][: place + 1]), tuple(pins["DI"])
        if "O" in pins:
            yield (*into, *select, *data[:place]), pins["O"][place], CARRY4
        if "CO" in pins:
            yield (*into, *select, *data[: place + 1]), pins["CO"][place], CARRY4


def _ram(parameters: Mapping[str, Any], ins: Connections, outs: Connections) -> CellTiming:
    starts = []
    for pin, bits in outs.items():
        side = found[1] if (found := _SIDE.match(pin)) else "A"
        registered = _number(parameters.get(f"DO{side}_REG", 0)) or (
            parameters.get(f"OREG_{side}") == "TRUE"
        )
        starts += [(bit, 0.0 if registered else RAM) for bit in bits]
    ends = tuple(
        (bit, 0.0, pin) for pin, bits in ins.items() if not pin.startswith("CLK") for bit in bits
    )
    return CellTiming(starts=tuple(starts), ends=ends)


def _lut_ram(ins: Connections, outs: Connections) -> CellTiming:
    """Reads at once, writes with the clock: an address is an input of both."""
    arcs, starts = [], []
    for pin, bits in outs.items():
        port = pin.removeprefix("DO") if pin.startswith("DO") else pin
        address = "DPRA" if pin == "DPO" else f"ADDR{port}" if f"ADDR{port}" in ins else "A"
        sources = tuple(
            bit
            for name, nets in ins.items()
            if re.fullmatch(rf"{address}\d*", name)
            for bit in nets
        )
        for bit in bits:
            arcs.append((sources, bit, RAM))
            starts.append((bit, RAM))
    ends = tuple((bit, 0.0, pin) for pin, bits in ins.items() if pin != "WCLK" for bit in bits)
    return CellTiming(starts=tuple(starts), ends=ends, arcs=tuple(arcs))


def _dsp(parameters: Mapping[str, Any], ins: Connections, outs: Connections) -> CellTiming:
    """Inputs, multiplier, M, adder, P: a register at any of these cuts the path."""

    def has(register: str) -> bool:
        return bool(_number(parameters.get(register, 1)))

    m, p = has("MREG"), has("PREG")
    results = [
        bit for pin in ("P", "PCOUT", "CARRYOUT", "CARRYCASCOUT") for bit in outs.get(pin, ())
    ]
    ends: list[tuple[int | str, float, str]] = []
    starts: dict[int | str, float] = dict.fromkeys(results, ADDER if m and not p else 0.0)
    arcs = []
    for pin, bits in ins.items():
        if pin == "CLK":
            continue
        if pin.startswith(("CE", "RST")):
            ends += [(bit, 0.0, pin) for bit in bits]
            continue
        factor = pin in ("A", "B", "D", "ACIN", "BCIN", "INMODE")
        register = {"ACIN": "AREG", "BCIN": "BREG"}.get(pin, f"{pin}REG")
        registered = register in parameters and has(register)
        inside = (MULTIPLIER if factor else 0.0) + (0.0 if factor and m else ADDER)
        if registered:
            ends += [(bit, 0.0, pin) for bit in bits]
            if not p and not (factor and m):
                starts = {bit: max(cost, inside) for bit, cost in starts.items()}
        elif p or (factor and m):
            ends += [(bit, inside, pin) for bit in bits]
        else:
            arcs += [(tuple(bits), bit, inside) for bit in results]
    return CellTiming(starts=tuple(starts.items()), ends=tuple(ends), arcs=tuple(arcs))


def _number(value: Any) -> int:
    return int(value, 2) if isinstance(value, str) else int(value)
