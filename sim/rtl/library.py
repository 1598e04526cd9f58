"""Turns a component into a shared library: Amaranth -> RTLIL -> Yosys (CXXRTL) -> g++, cached.

The cache holds a library for each generated source and driver, and a note for each component that
leads from what it is made of (Python sources, parameters, tool versions) to its library, so that a
second run elaborates nothing and needs neither Yosys nor g++.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib.metadata
import inspect
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import platformdirs

import hw
from hw.config import DnaConfig
from sim import yosys
from sim.memory.timing import HEADERS
from sim.native import cpus
from sim.rtl.design import generate
from sim.rtl.fast.split_eval import Source
from sim.rtl.vcd import Waves, unknown_modules
from sw.errors import DnaError
from sw.host import children

FOLDER = Path(__file__).parent
COMPILER = "g++"
# -O2 is as fast as -O3 here and compiles quicker, if loops become vectors as with -O3.
# -march=native is part of the cache's key. Long functions of many stores take g++ a third less time
# if it does not look at all of them for each.
FLAGS = (
    "-O2",
    "-march=native",
    "-std=c++17",
    "-shared",
    "-fPIC",
    "-fvect-cost-model=dynamic",
    "-fno-semantic-interposition",  # functions call each other, none from elsewhere
    "-Wl,-Bsymbolic-functions",
    "--param=sccvn-max-alias-queries-per-access=30",
    "--param=dse-max-alias-queries-per-store=8",
    # What -O3 inlines. Measured only together with the vectors of lane_values.h; alone no gain was
    # above the noise of a busy computer.
    "--param=max-inline-insns-single=200",
    "--param=max-inline-insns-auto=30",
    "--param=early-inlining-insns=14",
    "--param=inline-min-speedup=15",
)
IN_FRONT = ("one_row.h", "quick_values.h")
SOURCES = ("library.py", "design.py", "../yosys.py", "fast")
# A file of C++ has at least so many characters: declarations are read with each of them.
_UNIT = 500_000


def cache_folder() -> Path:
    """Where compiled libraries are kept."""
    return Path(platformdirs.user_cache_dir("open-dna")) / "rtl"


def build(
    component: type[Any],
    parameters: Mapping[str, DnaConfig | int],
    driver: Path,
    prelude: str = "",
    *,
    waves: bool = False,
) -> Path:
    """The compiled library of ``component(**parameters)`` and ``driver``.

    Args:
        component: a ``wiring.Component``.
        parameters: of its constructor.
        driver: the C++ source that drives it; it may include the headers of this folder.
        prelude: C++ declarations in front of it, see :mod:`sim.native.declarations`.
        waves: whether it can show what goes on inside, which takes over twice as long to compile.

    Raises:
        DnaError: g++ is missing or fails, or the cache folder cannot be written.
    """
    flags = (*FLAGS, "-DDNA_WAVES") if waves else FLAGS
    compiler = _compiler(flags)
    folder = cache_folder()
    driven = _drive(driver, prelude)
    note = folder / f"{_ingredients(component, parameters, driven, compiler)}.txt"
    with contextlib.suppress(OSError):
        known = folder / note.read_text()
        if known.is_file():
            return known
    source = generate(component(**parameters), waves=waves)
    text = (source.declarations, source.main, *source.parts)
    library = folder / f"{_digest(*text, driven, compiler)}.so"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            work = Path(scratch)
            if not library.is_file():
                os.replace(_compile(source, driver, prelude, flags, work), library)
            (work / note.name).write_text(library.name)
            os.replace(work / note.name, note)
    except OSError as error:
        raise DnaError(f"cannot write to {folder}: {error.strerror}") from error
    return library


@functools.cache
def load(library: Path) -> ctypes.CDLL:
    """The functions of a compiled library; ``dna_trace`` is declared."""
    try:
        loaded = ctypes.CDLL(str(library))
    except OSError as error:
        raise DnaError(f"cannot load the compiled simulator; remove {library}: {error}") from error
    pointer, number = ctypes.c_void_p, ctypes.c_uint64
    loaded.dna_trace.argtypes = (pointer, ctypes.c_char_p, number, number, pointer, number)
    return loaded


def trace(loaded: ctypes.CDLL, runner: int, waves: Waves) -> None:
    """Ask what ``dna_open`` of a library returned for waves.

    Raises:
        DnaError: the file cannot be written, or no module has one of the names.
    """
    names = (ctypes.c_char_p * len(waves.modules))(*(name.encode() for name in waves.modules))
    signals = loaded.dna_trace(
        runner, bytes(waves.file), waves.start, waves.stop, names, len(names)
    )
    if signals < 0:
        raise DnaError(f"cannot write {waves.file}")
    if signals == 0:
        raise unknown_modules(waves)


def _digest(*parts: str) -> str:
    sha = hashlib.sha256()
    for part in parts:
        sha.update(f"{len(part)}:{part}".encode())
    return sha.hexdigest()[:32]


def _drive(driver: Path, prelude: str) -> str:
    """Digest of the driver, what is in front of it, and all that it may include."""
    files = (driver, *sorted(FOLDER.rglob("*.h")), *HEADERS)
    return _digest(prelude, *(path.read_text() for path in files))


def _own_sources() -> Iterator[Path]:
    """All Python that turns a component into C++."""
    for name in SOURCES:
        yield from (FOLDER / name).rglob("*.py") if name == "fast" else [FOLDER / name]


def _ingredients(
    component: type[Any], parameters: Mapping[str, DnaConfig | int], driven: str, compiler: str
) -> str:
    """Digest of all that the library is made of, without making it."""
    folders = {Path(inspect.getfile(component)).parent, Path(hw.__file__).parent}
    sources = [
        f"{path.relative_to(folder)}\n{path.read_text()}"
        for folder in sorted(folders)
        for path in sorted(folder.rglob("*.py"))
    ]
    return _digest(
        f"{component.__module__}.{component.__qualname__}",
        repr(sorted(parameters.items())),
        platform.python_version(),
        importlib.metadata.version("amaranth"),
        yosys.version(),
        compiler,
        driven,
        *(path.read_text() for path in sorted(_own_sources())),
        *sources,
    )


def _compiler(flags: Sequence[str]) -> str:
    """Version of the compiler, the flags, and what ``native`` means on this machine."""
    if shutil.which(COMPILER) is None:
        raise DnaError(
            f"{COMPILER} is missing: the cxxrtl engine compiles the hardware with it; install it "
            f"(Debian: apt install {COMPILER}) or choose --engine pysim"
        )
    shown = children.run(
        [COMPILER, *flags, "-E", "-v", "-x", "c++", os.devnull, "-o", os.devnull],
        capture_output=True,
        text=True,
    )
    return str(shown.stderr)


def _compile(
    source: Source, driver: Path, prelude: str, flags: Sequence[str], folder: Path
) -> Path:
    """Compile files of about equal length, as many at once as there are cores, and link them."""
    (folder / "declarations.h").write_text(source.declarations)
    (folder / "whole.h").write_text(source.declarations + source.main + prelude)
    units: list[list[str | Path]] = [[driver, "-include", folder / "whole.h"]]
    for number, text in enumerate(_units(source.parts)):
        unit = folder / f"unit_{number}.cc"
        unit.write_text(text)
        units.append([unit, "-include", folder / "declarations.h"])
    common = [f"-I{yosys.headers()}", f"-I{FOLDER}"]
    for header in IN_FRONT:
        common += ["-include", str(FOLDER / header)]
    objects = [folder / f"{number}.o" for number in range(len(units))]
    with ThreadPoolExecutor(cpus()) as pool:
        compiled = [
            pool.submit(_run_compiler, *flags, *common, "-c", *unit, "-o", to)
            for unit, to in zip(units, objects, strict=True)
        ]
        try:
            for each in compiled:
                each.result()
        except BaseException:  # Ctrl-C is ours alone, and the threads wait for their compilers
            pool.shutdown(wait=False, cancel_futures=True)
            children.kill_all()
            raise
    result = folder / "design.so"
    _run_compiler(*flags, *objects, "-o", result)
    return result


def _units(parts: Sequence[str]) -> Iterator[str]:
    """The parts, as files of at least :data:`_UNIT` characters but for the last one."""
    unit: list[str] = []
    for part in parts:
        unit.append(part)
        if sum(map(len, unit)) >= _UNIT:
            yield "".join(unit)
            unit = []
    if unit:
        yield "".join(unit)


def _run_compiler(*arguments: str | Path) -> None:
    done = children.run([COMPILER, *arguments], capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or [done.stderr]
        raise DnaError(f"{COMPILER} failed on the generated simulator: {lines[0]}")
