"""C++ sources as shared libraries: compiled once, kept in the user's cache folder."""

from __future__ import annotations

import ctypes
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from sw.errors import DnaError
from sw.host import children

COMPILER = "g++"


def cpus() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def library(
    source: Path, flags: Sequence[str], *, headers: Sequence[Path] = (), prelude: str = ""
) -> Path:
    """The compiled ``source``.

    Args:
        source: a C++ file.
        flags: for the compiler.
        headers: what it includes, as far as that is ours: a change compiles it again.
        prelude: C++ that goes in front.

    Raises:
        DnaError: there is no compiler, it fails, or the cache folder cannot be written.
    """
    command = [COMPILER, *flags, "-shared", "-fPIC"]
    digest = hashlib.sha256(" ".join(command).encode() + b"\n" + prelude.encode())
    for path in (source, *sorted(headers)):
        digest.update(b"\n" + path.name.encode() + b"\n" + path.read_bytes())
    folder = Path(platformdirs.user_cache_dir("open-dna")) / source.stem
    made = folder / f"{digest.hexdigest()[:32]}.so"
    if made.is_file():
        return made
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            front, built = Path(scratch) / "prelude.h", Path(scratch) / made.name
            front.write_text(prelude)
            done = children.run(
                [*command, "-include", str(front), str(source), "-o", str(built)],
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise DnaError(f"{COMPILER} cannot compile {source}: {done.stderr.strip()[:300]}")
            os.replace(built, made)
    except OSError as error:
        if error.filename == COMPILER:
            raise DnaError(f"{COMPILER} is not there; install {COMPILER}") from error
        raise DnaError(f"cannot write to {folder}: {error.strerror}") from error
    return made


def load(path: Path) -> ctypes.CDLL:
    """A compiled library, loaded."""
    return ctypes.CDLL(str(path))
