"""Instructions as values and as bytes."""

from __future__ import annotations

import dataclasses
import functools
import struct
from collections.abc import Iterable, Mapping

from hw.isa.formats import (
    CHECKSUM_SEED,
    COMMON,
    FORMATS,
    INSTRUCTION_BYTES,
    Engine,
    Opcode,
)


class InstructionError(ValueError):
    """Bytes or text that are no instruction; the message says which and why."""


@functools.cache
def _ranges(opcode: Opcode) -> Mapping[str, tuple[int, int]]:
    """The smallest and the largest value of every field but the opcode."""
    return {field.name: field.range for field in (*COMMON[1:], *FORMATS[opcode].fields)}


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One instruction: an opcode and a value for every field; those not given are 0.

    Raises:
        InstructionError: a field is unknown to the opcode or its value does not fit.
    """

    opcode: Opcode
    fields: Mapping[str, int]

    def __post_init__(self) -> None:
        known = _ranges(self.opcode)
        for name, value in self.fields.items():
            if name not in known:
                raise InstructionError(f"{self.opcode.name} has no field {name!r}")
            low, high = known[name]
            if not low <= value <= high:
                raise InstructionError(
                    f"{self.opcode.name}.{name} = {value!r} is not in {low}..{high}"
                )
        complete = {name: int(self.fields.get(name, 0)) for name in known}
        object.__setattr__(self, "fields", complete)

    def __getitem__(self, name: str) -> int:
        return self.fields[name]

    @property
    def engine(self) -> Engine:
        """Who executes it."""
        return FORMATS[self.opcode].engine

    def encode(self) -> bytes:
        """The instruction as ``INSTRUCTION_BYTES`` bytes."""
        value, position = 0, 0
        for field in (*COMMON, *FORMATS[self.opcode].fields):
            number = self.opcode.value if field.name == "opcode" else self.fields[field.name]
            value |= (number & ((1 << field.width) - 1)) << position
            position += field.width
        body = value.to_bytes(INSTRUCTION_BYTES - 4, "little")
        return body + struct.pack("<I", checksum(body))


def checksum(body: bytes) -> int:
    """The checksum of an instruction's first ``INSTRUCTION_BYTES - 4`` bytes."""
    words: tuple[int, ...] = struct.unpack(f"<{INSTRUCTION_BYTES // 4 - 1}I", body)
    return (sum(words) + CHECKSUM_SEED) & 0xFFFFFFFF


def decode(code: bytes) -> Instruction:
    """The instruction in ``INSTRUCTION_BYTES`` bytes.

    Raises:
        InstructionError: the length, opcode, checksum or spare bits are wrong.
    """
    if len(code) != INSTRUCTION_BYTES:
        raise InstructionError(f"an instruction has {INSTRUCTION_BYTES} bytes, not {len(code)}")
    if checksum(code[:-4]) != struct.unpack("<I", code[-4:])[0]:
        raise InstructionError("the checksum is wrong")
    try:
        opcode = Opcode(code[0])
    except ValueError as error:
        raise InstructionError(f"no instruction has opcode {code[0]:#04x}") from error
    value, fields = int.from_bytes(code[:-4], "little"), {}
    for field in (*COMMON, *FORMATS[opcode].fields):
        number = value & ((1 << field.width) - 1)
        value >>= field.width
        if field.signed and number >> (field.width - 1):
            number -= 1 << field.width
        fields[field.name] = number
    if value:
        raise InstructionError(f"{opcode.name} has bits set outside its fields")
    del fields["opcode"]
    return Instruction(opcode, fields)


def program_bytes(program: Iterable[Instruction]) -> bytes:
    """A program as the machine fetches it."""
    return b"".join(instruction.encode() for instruction in program)


def read_program(code: bytes) -> list[Instruction]:
    """The instructions of a program, checked as the machine checks them.

    Raises:
        InstructionError: an instruction is damaged, or the program is truncated.
    """
    program = []
    for position in range(0, len(code), INSTRUCTION_BYTES):
        try:
            program.append(decode(code[position : position + INSTRUCTION_BYTES]))
        except InstructionError as error:
            raise InstructionError(
                f"instruction {position // INSTRUCTION_BYTES}: {error}"
            ) from None
    if not program or program[0].opcode is not Opcode.HEADER:
        raise InstructionError("a program starts with HEADER")
    if program[0]["length"] != len(program) or program[-1].opcode is not Opcode.END:
        raise InstructionError(
            f"the program is truncated: {len(program)} of {program[0]['length']} instructions"
        )
    return program
