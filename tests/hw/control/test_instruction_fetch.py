import dataclasses
import random

import pytest
from amaranth.sim import Simulator

from hw import isa
from hw.config import PRESETS
from hw.control.instruction_fetch import InstructionFetch
from hw.isa import Instruction, Opcode
from hw.status import Fault

OFFSET = 256


def program(config, count=6):
    """A program with ``count`` instructions between header and end, fields at their extremes."""
    rng = random.Random(count)
    opcodes = [op for op in Opcode if op not in (Opcode.HEADER, Opcode.END)]
    body = []
    for _ in range(count):
        opcode = rng.choice(opcodes)
        fields = {field.name: rng.choice(field.range) for field in isa.FORMATS[opcode].fields}
        body.append(Instruction(opcode, {**fields, "wait": 5, "signal": 9, "layer": 3}))
    header = {
        "magic": isa.MAGIC,
        "isa_version": isa.ISA_VERSION,
        "config": int(config.digest, 16),
        "length": count + 2,
    }
    return [Instruction(Opcode.HEADER, header), *body, Instruction(Opcode.END, {"wait": 64})]


def fetch(config, code, *, pace=1.0, seed=0):
    """What the unit makes of ``code``: the instructions' bytes, the fault, the words asked for."""
    dut = InstructionFetch(config)
    rng, width = random.Random(seed), config.dram_bytes_per_cycle
    padded = code + bytes(rng.randrange(256) for _ in range(4 * width + 4 * 64))
    got, state = [], {"fault": None, "asked": []}

    async def bench(ctx):
        memory, queue, valid = dut.memory, [], False
        ctx.set(dut.program, OFFSET)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        quiet = 0
        while quiet < 60:
            ctx.set(memory.requests.ready, rng.random() < pace)
            valid = bool(queue) and (valid or rng.random() < pace)
            ctx.set(memory.words.valid, valid)
            ctx.set(memory.words.payload, queue[0] if valid else rng.getrandbits(8 * width))
            ctx.set(dut.instructions.ready, rng.random() < pace)
            *_, rv, rr, request, wr, iv, ir, bits, fault, fault_code, address = (
                await ctx.tick().sample(
                    memory.requests.valid, memory.requests.ready, memory.requests.payload,
                    memory.words.ready, dut.instructions.valid, dut.instructions.ready,
                    dut.instructions.payload, dut.fault.valid, dut.fault.code, dut.fault.address,
                )
            )  # fmt: skip
            quiet += 1
            if rv and rr:
                start = request.offset - OFFSET
                state["asked"].append((start // width, request.length))
                for i in range(request.length):
                    queue.append(int.from_bytes(padded[start + i * width :][:width], "little"))
                quiet = 0
            if valid and wr:
                queue.pop(0)
                valid, quiet = False, 0
            if iv and ir:
                got.append(bits.to_bytes(64, "little"))
                quiet = 0
            if fault:
                state["fault"] = (Fault(fault_code), address)
                return
        assert not queue

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return got, state["fault"], state["asked"]


@pytest.mark.parametrize("name", ["nano", "small", "f100", "f200"])
@pytest.mark.parametrize("pace", [1.0, 0.4])
def test_instructions_come_out_as_they_were_assembled(name, pace):
    config = PRESETS[name]
    for count in (0, 1, 6, 7):
        instructions = program(config, count)
        got, fault, asked = fetch(config, isa.program_bytes(instructions), pace=pace, seed=count)
        assert fault is None
        assert got == [instruction.encode() for instruction in instructions[1:]]
        width = config.dram_bytes_per_cycle
        assert sum(length for _, length in asked) == -(-64 * (count + 2) // width)


@pytest.mark.parametrize("seed", range(20))
def test_a_flipped_bit_is_noticed_where_it_is(seed):
    config, rng = PRESETS["micro"], random.Random(seed)
    code = bytearray(isa.program_bytes(program(config)))
    bit = rng.randrange(8 * len(code))
    code[bit // 8] ^= 1 << bit % 8
    got, fault, _ = fetch(config, bytes(code))
    assert fault == (Fault.BAD_CHECKSUM, bit // 512)
    assert len(got) == max(0, bit // 512 - 1)


def edited(config, position, /, **fields):
    """A program whose instruction ``position`` has other fields and a right checksum."""
    instructions = program(config)
    old = instructions[position]
    instructions[position] = dataclasses.replace(old, fields={**old.fields, **fields})
    return isa.program_bytes(instructions)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"magic": 1}, Fault.BAD_MAGIC),
        ({"isa_version": isa.ISA_VERSION + 1}, Fault.BAD_VERSION),
        ({"config": 7}, Fault.BAD_CONFIG),
        ({"length": 1}, Fault.TRUNCATED),
        ({"length": 0}, Fault.TRUNCATED),
    ],
)
def test_a_header_that_is_wrong_stops_at_once(fields, code):
    config = PRESETS["nano"]
    got, fault, _ = fetch(config, edited(config, 0, **fields))
    assert (got, fault) == ([], (code, 0))


@pytest.mark.parametrize(("length", "where"), [(5, 4), (9, 7)])
def test_a_program_of_another_length_is_truncated(length, where):
    config = PRESETS["nano"]
    _, fault, _ = fetch(config, edited(config, 0, length=length))
    assert fault == (Fault.TRUNCATED, where)


def test_zeros_are_no_instruction():
    config = PRESETS["nano"]
    code = isa.program_bytes(program(config))
    _, fault, _ = fetch(config, code[: 64 * 4] + bytes(64 * 4))
    assert fault == (Fault.BAD_CHECKSUM, 4)


def test_an_unknown_opcode_is_refused():
    config = PRESETS["nano"]
    code = bytearray(isa.program_bytes(program(config)))
    code[64] = 0xEE
    code[124:128] = isa.checksum(bytes(code[64:124])).to_bytes(4, "little")
    _, fault, _ = fetch(config, bytes(code))
    assert fault == (Fault.BAD_OPCODE, 1)


def test_depthwise_is_unknown_to_a_machine_without_the_engine():
    for words, expected in ((1, None), (0, (Fault.BAD_OPCODE, 1))):
        config = dataclasses.replace(PRESETS["nano"], depthwise_words=words)
        instructions = program(config)
        instructions[1] = Instruction(Opcode.DEPTHWISE, {"stride": 1})
        _, fault, _ = fetch(config, isa.program_bytes(instructions))
        assert fault == expected
