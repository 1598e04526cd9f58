"""Instructions as text: what ``dna disasm`` prints, and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from hw.isa.encoding import Instruction, InstructionError
from hw.isa.formats import Engine, Opcode


def _engines(mask: int) -> str:
    return "+".join(engine.name.lower() for engine in Engine if mask >> engine & 1)


def disassemble(program: Iterable[Instruction]) -> Iterator[str]:
    """One line of text an instruction; fields that are 0 are left out."""
    for instruction in program:
        parts = [f"{instruction.opcode.name.lower():<9}"]
        for name, value in instruction.fields.items():
            if value and name in ("wait", "signal"):
                parts.append(f"{name}={_engines(value)}")
            elif value:
                hexadecimal = name in ("magic", "config", "dram")
                parts.append(f"{name}={value:#x}" if hexadecimal else f"{name}={value}")
        yield " ".join(parts).rstrip()


_FIELD = re.compile(r"(\w+)=(\S+)")


def assemble(lines: Iterable[str]) -> Iterator[Instruction]:
    """The instructions that :func:`disassemble` wrote; blank lines and ``#`` comments are skipped.

    Raises:
        InstructionError: a line is not an instruction; the message gives its number.
    """
    for number, line in enumerate(lines, 1):
        text = line.split("#")[0].strip()
        if not text:
            continue
        name, *rest = text.split()
        try:
            fields = {}
            for part in rest:
                match = _FIELD.fullmatch(part)
                if match is None:
                    raise InstructionError(f"{part!r} is not FIELD=VALUE")
                key, value = match.groups()
                if key in ("wait", "signal"):
                    fields[key] = sum(1 << Engine[engine.upper()] for engine in value.split("+"))
                else:
                    fields[key] = int(value, 0)
            yield Instruction(Opcode[name.upper()], fields)
        except KeyError as error:
            raise InstructionError(f"line {number}: unknown name {error.args[0]!r}") from None
        except ValueError as error:
            raise InstructionError(f"line {number}: {error}") from None
