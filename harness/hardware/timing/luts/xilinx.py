"""What a cell of Xilinx UltraScale+ costs, in levels of 6-input LUTs.

A LUT counts 1, a CARRY8 a quarter (Yosys writes it as two CARRY4), a wide multiplexer (MUXF7 to
MUXF9) a quarter, reading a RAM 2 (block, ultra or distributed) unless its output is registered, a
DSP block without registers 4: 2 for its multiplier and 2 for its adder, none where a register
stands in between. Yosys' mapper is given the same costs (:func:`costs_of_cells`): with the delays
of a real device it would spend levels where a slow cell leaves time for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.hardware.timing.netlist.graph import Arc, CellTiming
from sw.errors import DnaError

LUT, CARRY4, WIDE, RAM = 1.0, 0.125, 0.25, 2.0
MULTIPLIER, ADDER = 2.0, 2.0

_LUT = re.compile(r"LUT[1-6]|INV")
_FLIP_FLOP = re.compile(r"FD[RSCP]E")
_WIDE = re.compile(r"MUXF[789]")
_BLOCK_RAM = re.compile(r"RAMB(18|36)E2")
_LUT_RAM = re.compile(r"RAM\d+(M\d*|X\w+)")
_SIDE = re.compile(r"DOUTP?_?([AB])")

_MAPPED_LUTS = (1, 2, 3, 3, 3, 5, 10, 20)
"""By inputs, the area of a LUT: those of seven and eight are several with multiplexers."""
_UNITS = 500
"""Of the mapper, in a level: the RAMs of its library, which stay, then take 2 to 3 levels."""

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


def costs_of_cells() -> str:
    """Verilog that replaces the delays of LUTs, carries, multiplexers and registers in Yosys.

    Every input of a LUT costs the same, and a register nothing.
    """
    modules = []
    for inputs, area in enumerate(_MAPPED_LUTS, start=1):
        wide = max(0, inputs - 6)
        name = rf"\$__ABC9_LUT{inputs} " if wide else f"LUT{inputs}"
        pins = [f"I{place}" for place in range(inputs)]
        modules.append(
            f"(* abc9_lut={area} *) module {name}(output O, input {', '.join(pins)});"
            f" parameter [{2**inputs - 1}:0] INIT = 0;"
            f" {_specified((pin, 'O', LUT + wide * WIDE) for pin in pins)} endmodule"
        )
    for name in ("MUXF7", "MUXF8"):
        arcs = _specified((pin, "O", WIDE) for pin in ("I0", "I1", "S"))
        modules.append(
            f"(* abc9_box, lib_whitebox *) module {name}(output O, input I0, I1, S);"
            f" assign O = S ? I1 : I0; {arcs} endmodule"
        )
    modules.append(_carry_module())
    for name, back in (("FDRE", "R"), ("FDSE", "S")):
        turned = [f"IS_{pin}_INVERTED" for pin in ("C", "D", back)]
        clock, data, reset = (f'(* invertible_pin = "{parameter}" *) input' for parameter in turned)
        modules.append(
            f"module {name}(output Q, (* clkbuf_sink *) {clock} C, input CE, {data} D,"
            f" {reset} {back});"
            f" parameter [0:0] INIT = 0, {', '.join(f'{each} = 0' for each in turned)}; endmodule"
        )
    return "\n".join([*modules, ""])


def _carry_module() -> str:
    arcs = []
    for out, own in (("O", 0), ("CO", 1)):
        for place in range(4):
            pins = ["CI", "CYINIT", *(f"S[{below}]" for below in range(place + 1))]
            pins += [f"DI[{below}]" for below in range(place + own)]
            arcs += [(pin, f"{out}[{place}]", CARRY4) for pin in pins]
    before = ("c", "CO[0]", "CO[1]", "CO[2]")
    carries = "".join(
        f" assign CO[{place}] = S[{place}] ? {carry} : DI[{place}];"
        for place, carry in enumerate(before)
    )
    return (
        "(* abc9_box, lib_whitebox *) module CARRY4((* abc9_carry *) output [3:0] CO,"
        " output [3:0] O, (* abc9_carry *) input CI, input CYINIT, input [3:0] DI, S);"
        f" wire c = CI | CYINIT; assign O = S ^ {{CO[2:0], c}};{carries}"
        f" {_specified(arcs)} endmodule"
    )


def _specified(arcs: Iterable[tuple[str, str, float]]) -> str:
    lines = (f"({start} => {end}) = {round(levels * _UNITS)};" for start, end, levels in arcs)
    return f"specify {' '.join(lines)} endspecify"
