"""The instruction set: the one description that everything else derives from.

Decoder and engines in ``hw/``, assembler, disassembler, interpreter and cycle model all read the
tables below. An instruction is coarse: it describes the loop nest of a whole layer (or of a stripe
of it), so instruction fetch is noise.

Every instruction is ``INSTRUCTION_BYTES`` long: common fields, then the fields of its opcode, then
a 32-bit checksum in the last word (the sum of the other words and ``CHECKSUM_SEED``, modulo 2^32,
so that any single flipped bit and a run of zeros are both noticed). Integers are little-endian and
packed from bit 0 without gaps.

Instructions are dispatched in program order to the queue of their engine; engines run decoupled.
Order between engines is kept by tokens: one counter for every (producer, consumer) pair. An
instruction starts when every counter named by its ``wait`` mask (a bit per producer) is above zero,
and takes one from each; when all its effects are visible it adds one to every counter named by its
``signal`` mask (a bit per consumer).

Nothing here needs the HDL but :mod:`hw.isa.layout`, which those who only run programs never import.
"""

from __future__ import annotations

from hw.isa.encoding import (
    Instruction,
    InstructionError,
    checksum,
    decode,
    program_bytes,
    read_program,
)
from hw.isa.formats import (
    CHECKSUM_SEED,
    COMMON,
    FORMATS,
    INSTRUCTION_BYTES,
    ISA_VERSION,
    MAGIC,
    TOKEN_LIMIT,
    Engine,
    Field,
    Format,
    Join,
    Opcode,
    TablePlace,
    field_widths,
)
from hw.isa.text import (
    assemble,
    disassemble,
)

__all__ = [
    "CHECKSUM_SEED",
    "COMMON",
    "FORMATS",
    "INSTRUCTION_BYTES",
    "ISA_VERSION",
    "MAGIC",
    "TOKEN_LIMIT",
    "Engine",
    "Field",
    "Format",
    "Instruction",
    "InstructionError",
    "Join",
    "Opcode",
    "TablePlace",
    "assemble",
    "checksum",
    "decode",
    "disassemble",
    "field_widths",
    "program_bytes",
    "read_program",
]
