"""Yosys, from the package pyosys: C++ and Verilog of a design, and what it takes of an FPGA.

Yosys runs in a process of its own: it exits at an error, and two of them use two cores.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from sw.errors import DnaError
from sw.host import children

PACKAGE = "pyosys"
_SCRIPT, _INPUT, _OUTPUT = "script.ys", "design.il", "output"
_CALL = f"from pyosys import libyosys; libyosys.run_pass('script {_SCRIPT}')"
_PASS = re.compile(r"[\d.]+ Executing (\S+) pass")
_ERROR = re.compile(r"^ERROR: .*", re.MULTILINE)


def version() -> str:
    """Version of the package."""
    return importlib.metadata.version(PACKAGE)


def headers() -> Path:
    """The folder of CXXRTL's header files."""
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        raise DnaError(f"the package {PACKAGE} is missing: pip install --editable . in the clone")
    return Path(package.origin).parent / "share/include/backends/cxxrtl/runtime"


def run(script: str, folder: Path, progress: Callable[[str], None] | None = None) -> str:
    """Run ``script`` with ``folder`` as the current directory and return the log.

    Args:
        progress: called with the name of each pass as it starts.

    Raises:
        DnaError: Yosys failed; the message holds its own.
    """
    (folder / _SCRIPT).write_text(script)

    def tell(line: str) -> None:
        if progress is not None and (started := _PASS.match(line)):
            progress(started[1])

    code, log = children.follow([sys.executable, "-c", _CALL], folder, tell)
    if code:
        errors = [*_ERROR.findall(log), log.strip().rpartition("\n")[2] or code]
        raise DnaError(f"yosys failed: {errors[0]}")
    return log


def transform(rtlil: str, passes: str, write: str) -> str:
    """What ``write``, a command without its file name, writes of a design after ``passes``.

    Args:
        rtlil: the design.
        passes: commands, one a line.

    Raises:
        DnaError: Yosys failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / _INPUT).write_text(rtlil)
        run(f"read_rtlil {_INPUT}\n{passes}\n{write} {_OUTPUT}\n", folder)
        return (folder / _OUTPUT).read_text()


def unexpected(what: str) -> DnaError:
    """The error of who reads Yosys' output and finds something else than it knows."""
    return DnaError(
        f"{PACKAGE} {version()} writes {what}, which sim/rtl/fast does not expect; "
        "install the version that pyproject.toml names"
    )
