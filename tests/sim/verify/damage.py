"""Programs that are wrong in one instruction, all checksums right."""

import msgspec

from hw.isa import Instruction, Opcode, program_bytes, read_program
from sw.program import Program


def damaged(program: Program, opcode: Opcode, index: int = -1, **fields: int) -> Program:
    """``program`` with changed fields in one instruction.

    Args:
        index: which of the instructions with this opcode.
        fields: the new values.
    """
    code = read_program(program.code)
    number = [n for n, op in enumerate(code) if op.opcode is opcode][index]
    code[number] = Instruction(opcode, {**code[number].fields, **fields})
    return msgspec.structs.replace(program, code=program_bytes(code))
