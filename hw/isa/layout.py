"""Instructions as the hardware sees them: the one part of the instruction set with the HDL."""

from __future__ import annotations

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from hw.isa.formats import CHECKSUM_BITS, COMMON, FORMATS, INSTRUCTION_BYTES, Opcode


def instruction_layout(opcode: Opcode) -> data.StructLayout:
    """The bits of an instruction with ``opcode``, common fields and checksum included."""
    members: dict[str, object] = {}
    used = 0
    for field in (*COMMON, *FORMATS[opcode].fields):
        members[field.name] = signed(field.width) if field.signed else unsigned(field.width)
        used += field.width
    spare = INSTRUCTION_BYTES * 8 - CHECKSUM_BITS - used
    if spare < 0:
        raise ValueError(f"{opcode.name} is {-spare} bits too long")
    if spare:
        members["_spare"] = unsigned(spare)
    members["checksum"] = unsigned(CHECKSUM_BITS)
    return data.StructLayout(members)
