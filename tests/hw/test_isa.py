import hashlib
import random

import pytest

from hw import isa
from hw.isa import Engine, Instruction, InstructionError, Opcode
from hw.isa.layout import instruction_layout

INSTRUCTION_SET = (6, "2ec64012440cb42b")
"""Its version, and the digest of every instruction and field."""


def random_instruction(rng, opcode):
    fields = {
        field.name: rng.choice([*field.range, rng.randint(*field.range)])
        for field in (*isa.COMMON[1:], *isa.FORMATS[opcode].fields)
    }
    return Instruction(opcode, fields)


@pytest.mark.parametrize("opcode", list(Opcode))
def test_bytes_and_text_and_layout_tell_the_same(opcode):
    rng = random.Random(opcode)
    for _ in range(50):
        instruction = random_instruction(rng, opcode)
        code = instruction.encode()
        assert isa.decode(code) == instruction
        assert list(isa.assemble(isa.disassemble([instruction]))) == [instruction]
        view = instruction_layout(opcode).from_bits(int.from_bytes(code, "little"))
        assert {name: view[name] for name in instruction.fields} == instruction.fields
        assert view.opcode == opcode


def test_another_instruction_set_has_another_version():
    """So that a machine refuses the programs of another one: count ISA_VERSION up, then change the
    pair here."""
    bits = [
        (op.name, op.value, form.engine.value, [(f.name, f.width, f.signed) for f in form.fields])
        for op, form in isa.FORMATS.items()
    ]
    common = [(field.name, field.width) for field in isa.COMMON]
    engines = [(engine.name, engine.value) for engine in Engine]
    found = hashlib.sha256(repr((common, bits, engines)).encode()).hexdigest()[:16]
    assert (isa.ISA_VERSION, found) == INSTRUCTION_SET


def test_every_format_fits_and_names_are_unique():
    for opcode in Opcode:
        names = [field.name for field in (*isa.COMMON, *isa.FORMATS[opcode].fields)]
        assert len(set(names)) == len(names)
        assert instruction_layout(opcode).size == 8 * isa.INSTRUCTION_BYTES


def test_every_flipped_bit_is_noticed():
    code = bytearray(random_instruction(random.Random(1), Opcode.CONV).encode())
    for bit in range(8 * len(code)):
        code[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InstructionError):
            isa.decode(bytes(code))
        code[bit // 8] ^= 1 << bit % 8
    isa.decode(bytes(code))


def test_what_does_not_fit_is_quoted():
    with pytest.raises(InstructionError, match=r"CONV\.split = 16 is not in 0\.\.15"):
        Instruction(Opcode.CONV, {"split": 16})
    with pytest.raises(InstructionError, match=r"pad_top = -129"):
        Instruction(Opcode.CONV, {"pad_top": -129})
    with pytest.raises(InstructionError, match="END has no field 'split'"):
        Instruction(Opcode.END, {"split": 1})


def header(length):
    return Instruction(Opcode.HEADER, {"magic": isa.MAGIC, "length": length})


def test_programs_are_read_back_and_truncation_is_noticed():
    end = Instruction(Opcode.END, {"wait": 1 << Engine.STORE})
    assert isa.read_program(isa.program_bytes([header(2), end])) == [header(2), end]
    for broken in ([header(3), end], [header(1)], [end], []):
        with pytest.raises(InstructionError):
            isa.read_program(isa.program_bytes(broken))
    with pytest.raises(InstructionError, match="instruction 1: an instruction has 64 bytes"):
        isa.read_program(isa.program_bytes([header(2), end])[:100])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("convolve split=1", "line 1: unknown name 'CONVOLVE'"),
        ("conv split", r"line 1: 'split' is not FIELD=VALUE"),
        ("conv split=x", "line 1: invalid literal"),
        ("conv wait=nobody", "line 1: unknown name 'NOBODY'"),
    ],
)
def test_text_that_is_no_instruction_is_named(line, message):
    with pytest.raises(InstructionError, match=message):
        list(isa.assemble([line]))


def test_a_program_reads_like_this():
    text = list(
        isa.disassemble(
            [
                header(2),
                Instruction(
                    Opcode.POST,
                    {"wait": 1 << Engine.POOL, "signal": (1 << Engine.CONV) | 1, "zero_point": -3},
                ),
            ]
        )
    )
    assert text == [
        "header    magic=0x414e446f length=2",
        "post      wait=pool signal=control+conv zero_point=-3",
    ]
    assert not list(isa.assemble(["", "  # nothing"]))
