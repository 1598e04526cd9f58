"""C++ declarations of what Python says already: structures, enumerations, constants.

A structure that Python and C++ share is described once, as a :class:`ctypes.Structure`. Its C++
text is made here and goes in front of the source that uses it (``prelude`` of :mod:`sim.native` and
of :mod:`sim.rtl.library`). ::

    class Range(ctypes.Structure):
        _fields_ = (("start", ctypes.c_uint64), ("stop", ctypes.c_uint64))

    prelude(structure(Range))   # ... struct Range { uint64_t start; uint64_t stop; }; ...
"""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Mapping
from typing import Any

_SCALARS: dict[Any, str] = {
    ctypes.c_int8: "int8_t",
    ctypes.c_uint8: "uint8_t",
    ctypes.c_int32: "int32_t",
    ctypes.c_uint32: "uint32_t",
    ctypes.c_int64: "int64_t",
    ctypes.c_uint64: "uint64_t",
    ctypes.c_float: "float",
    ctypes.c_void_p: "void *",
    ctypes.c_char_p: "const char *",
}
_POINTER: Any = ctypes.POINTER(ctypes.c_uint8).__mro__[1]


def structure(described: type[ctypes.Structure]) -> str:
    """The C++ ``struct`` with the name and the fields of ``described``.

    Args:
        described: fields are integers of a stated width, floats, ``c_void_p``, ``c_char_p``, and
            arrays, pointers and structures of these. A structure inside is declared by its name,
            so it must be declared before.

    Raises:
        TypeError: a field is of another type.
    """
    fields: list[Any] = list(described._fields_)
    members = " ".join(f"{_member(kind, name)};" for name, kind in fields)
    return f"struct {described.__name__} {{ {members} }};"


def enumeration(members: type[enum.IntEnum], prefix: str = "") -> str:
    """The C++ ``enum`` with the name and members of ``members``, ``prefix`` in front of each."""
    numbers = ", ".join(f"{prefix}{member.name} = {member.value}" for member in members)
    return f"enum {members.__name__} : int {{ {numbers} }};"


def constants(values: Mapping[str, int]) -> str:
    """A C++ constant of 64 bits for each value."""
    return "\n".join(f"constexpr int64_t {name} = {value};" for name, value in values.items())


def prelude(*declarations: str) -> str:
    """The declarations together, as the text that goes in front of a C++ source."""
    return "\n".join(["#include <cstdint>", "namespace {", *declarations, "}", ""])


def _member(kind: Any, name: str) -> str:
    if issubclass(kind, ctypes.Array):
        return f"{_member(kind._type_, name)}[{kind._length_}]"
    if issubclass(kind, _POINTER):
        return _member(kind._type_, f"*{name}")
    if issubclass(kind, ctypes.Structure):
        return f"{kind.__name__} {name}"
    if kind not in _SCALARS:
        raise TypeError(f"{name} is of type {kind.__name__}, which has no name in C++ here")
    return f"{_SCALARS[kind]} {name}"
