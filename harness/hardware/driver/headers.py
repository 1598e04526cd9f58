"""C headers: the registers of every machine, and the numbers of one compiled program."""

from __future__ import annotations

from pathlib import Path

from hw import isa
from hw.bus import registers
from hw.bus.register_fields import Access, Register
from hw.isa import Engine
from hw.status import Activity, Fault
from sw.program import DramTensor, Program

REGISTERS, PROGRAM, MEMORY = "dna_registers.h", "dna_program.h", "dna_memory.bin"
SOURCES = ("dna_driver.h", "dna_driver.c")


def source(name: str) -> str:
    """The text of one of :data:`SOURCES`."""
    return (Path(__file__).parent / name).read_text()


def registers_header() -> str:
    """:mod:`hw.bus.registers` and the codes of :mod:`hw.status` as C."""
    lines = [
        "/* Registers of an open DNA, byte offsets and bits. Made by dna rtl: do not edit. */",
        "#ifndef DNA_REGISTERS_H",
        "#define DNA_REGISTERS_H",
        "",
    ]
    for register in registers.REGISTERS:
        lines += _register(register)
    lines += [
        "",
        "/* Cycles of the last program by engine and activity: 32 bits each, read only. */",
        f"#define DNA_COUNTER(engine, activity) ({registers.COUNTERS_OFFSET:#x}u + "
        f"4u * ({len(Activity)}u * (engine) + (activity)))",
        "",
        _enum("dna_engine", {f"DNA_ENGINE_{engine.name}": engine.value for engine in Engine}),
        _enum("dna_activity", {f"DNA_ACTIVITY_{what.name}": what.value for what in Activity}),
        _enum("dna_fault", {f"DNA_FAULT_{fault.name}": fault.value for fault in Fault}),
        f"#define DNA_WATCHDOG_CYCLES {registers.DEFAULT_WATCHDOG_CYCLES}u",
        "",
        "#endif",
    ]
    return "\n".join(lines) + "\n"


def program_header(program: Program, name: str) -> str:
    """The ``struct dna_program`` of a compiled network.

    Args:
        program: the network.
        name: of the artifact, for the comment.
    """
    memory, digest = program.memory, int(program.config.digest, 16)
    comment = "".join(c for c in name if c.isprintable()).replace("*/", "* /")
    outputs = ",\n".join(f"    {_map(output)}" for output in memory.outputs)
    return f"""/* {comment} for {program.config.name}. Made by dna pack: do not edit. */
#ifndef DNA_PROGRAM_H
#define DNA_PROGRAM_H

#include "dna_driver.h"

static const struct dna_map dna_outputs[] = {{
{outputs}
}};

static const struct dna_program dna_program = {{
    .isa_version = {isa.ISA_VERSION}u,
    .config_low = {digest & 0xFFFFFFFF:#010x}u,
    .config_high = {digest >> 32:#010x}u,
    .window_size = {memory.size}u,
    .write_offset = {memory.writable.offset}u,
    .write_size = {memory.writable.length}u,
    .program_offset = {memory.program.offset}u,
    .images = {program.images}u,
    .input = {_map(memory.input)},
    .outputs = dna_outputs,
    .output_count = {len(memory.outputs)}u,
}};

#endif
"""


def memory_image(program: Program) -> bytes:
    """The window from its first byte to the last that is loaded once: program and weights."""
    memory = program.memory
    image = bytearray(max(memory.program.end, memory.weights.end))
    for region, content in ((memory.program, program.code), (memory.weights, program.weights)):
        image[region.offset : region.offset + len(content)] = content
    return bytes(image)


def _register(register: Register) -> list[str]:
    name = f"DNA_{register.name}".upper()
    lines = [f"#define {name} {register.offset:#04x}u /* {register.doc} */"]
    for field in register.fields:
        if field.name != "value":
            mask = register.mask(field.name)
            lines.append(f"#define {name}_{field.name.upper()} {mask:#x}u /* {field.doc} */")
        elif field.access is Access.R and field.reset:
            lines.append(f"#define {name}_RESET {field.reset:#010x}u")
    return lines


def _enum(name: str, values: dict[str, int]) -> str:
    inside = "".join(f"    {value} = {number},\n" for value, number in values.items())
    return f"enum {name} {{\n{inside}}};\n"


def _map(tensor: DramTensor) -> str:
    numbers = (
        tensor.offset,
        tensor.height,
        tensor.width,
        tensor.channels,
        tensor.pitch,
        tensor.pixel_bytes,
    )
    return "{" + ", ".join(f"{number}u" for number in numbers) + "}"
