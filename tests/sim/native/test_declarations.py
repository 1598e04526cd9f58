"""Structures mean the same to Python and C++: the compiler says where it puts every field."""

import ctypes
import enum

import platformdirs
import pytest

from sim import native
from sim.cycles import model
from sim.functional import layout
from sim.memory.timing import DramTiming, MemoryTiming
from sim.native.declarations import constants, enumeration, prelude, structure
from sim.rtl.axi_memory import MemoryContent, Range
from sim.rtl.engines import cxxrtl
from tests.sim.rtl.streams.cxxrtl import Static, Stream


class Inner(ctypes.Structure):
    _fields_ = (("small", ctypes.c_uint8), ("real", ctypes.c_float))


class Outer(ctypes.Structure):
    """Every kind of field, in an order that needs padding."""

    _fields_ = (
        ("byte", ctypes.c_int8),
        ("table", ctypes.c_uint64 * 3),
        ("inner", Inner),
        ("inners", Inner * 2),
        ("number", ctypes.c_int32),
        ("first", ctypes.POINTER(Inner)),
        ("values", ctypes.POINTER(ctypes.c_int64)),
        ("anything", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("last", ctypes.c_uint32),
    )


class Colour(enum.IntEnum):
    RED = 3
    BLUE = 7


SHARED = [
    [Inner, Outer],
    [DramTiming, MemoryTiming],
    [Range, MemoryContent],
    [cxxrtl.Writes],
    [model.Config],
    [model.Instruction],
    [model.Trace],
    [model.Result],
    [layout.Map, layout.Products, layout.Layer],
    [Stream],
    [Static],
]


@pytest.fixture
def build(tmp_path, monkeypatch):
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda _: str(tmp_path / "cache"))

    def call(body, *declarations):
        source = tmp_path / "layout.cc"
        source.write_text(body)
        return native.load(native.library(source, ("-O0",), prelude=prelude(*declarations)))

    return call


@pytest.mark.parametrize("described", SHARED, ids=lambda group: group[-1].__name__)
def test_the_compiler_puts_every_field_where_ctypes_does(build, described):
    shared = described[-1]
    names = [name for name, _ in shared._fields_]
    sizes = [f"offsetof({shared.__name__}, {name})" for name in names]
    sizes += [f"sizeof({shared.__name__}::{name})" for name in names]
    sizes.append(f"sizeof({shared.__name__})")
    table = f"extern const size_t table[] = {{{', '.join(sizes)}}};"
    body = f'#include <cstddef>\nextern "C" {{ {table} }}\n'
    library = build(body, *map(structure, described))
    found = (ctypes.c_size_t * len(sizes)).in_dll(library, "table")
    fields = [getattr(shared, name) for name in names]
    expected = [*(f.offset for f in fields), *(f.size for f in fields), ctypes.sizeof(shared)]
    assert list(found) == expected


def test_values_arrive(build):
    library = build(
        """
        extern "C" int64_t sum(const Outer *outer) {
            int64_t total = outer->byte + outer->number + outer->inners[1].small + outer->last;
            return total + int64_t(outer->table[2]) + outer->values[1] + BLUE + LARGE;
        }
        """,
        structure(Inner),
        structure(Outer),
        enumeration(Colour),
        constants({"LARGE": 1 << 40}),
    )
    library.sum.restype = ctypes.c_int64
    outer = Outer(byte=-1, number=-20, last=300)
    outer.inners[1].small = 4
    outer.table[2] = 5000
    outer.values = (ctypes.c_int64 * 2)(1, 60000)
    assert library.sum(ctypes.byref(outer)) == -1 - 20 + 300 + 4 + 5000 + 60000 + 7 + (1 << 40)


def test_names_of_an_enumeration_can_be_told_apart():
    assert enumeration(Colour, "PAINT_") == "enum Colour : int { PAINT_RED = 3, PAINT_BLUE = 7 };"


def test_a_field_without_a_name_in_cpp_is_refused():
    class Odd(ctypes.Structure):
        _fields_ = (("letter", ctypes.c_wchar),)

    with pytest.raises(TypeError, match="letter is of type c_wchar"):
        structure(Odd)
