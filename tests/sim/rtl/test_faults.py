"""Whatever is wrong, the machine stops with the code for it, and runs right after a reset."""

import dataclasses

import numpy as np
import pytest

from hw import isa
from hw.bus import registers
from hw.config import PRESETS
from hw.isa import Engine, Instruction, Opcode
from hw.status import Activity, Fault, waiting
from sim.cycles import predict
from sim.driver import Driver, MachineError
from sim.memory.model import MemoryModel
from sim.reference import ReferenceModel
from sim.rtl.registry import open_simulator
from sw.compiler import compile_graph
from sw.errors import DnaError
from tests.support.programs import noise, random_network

NANO = PRESETS["nano"]
SOON = 10_000
DAMAGED = {Opcode.LOAD, Opcode.WEIGHTS, Opcode.CONV, Opcode.POST, Opcode.STORE}


@pytest.fixture(scope="module")
def network():
    """A network whose program has something for every test to damage, an image, its output."""
    rng = np.random.default_rng(5)
    while True:
        graph = random_network(rng)
        program = compile_graph(graph, NANO)
        opcodes = {instruction.opcode for instruction in isa.read_program(program.code)}
        soon = predict(program, MemoryModel()).cycles < SOON
        if soon and len(program.weights) > 500 and opcodes >= DAMAGED:
            break
    image = noise(rng, graph)
    return program, image, ReferenceModel(graph).run_all(image)[graph.output]


def stopped(driver, image):
    """The fault that a run ends in, soon; nothing outside the writable part has changed."""
    machine, memory = driver.machine, driver.program.memory
    before = machine.memory.copy()
    start = machine.cycle
    with pytest.raises(MachineError) as caught:
        driver.run(image, max_cycles=SOON)
    assert machine.cycle - start < SOON
    changed = np.flatnonzero(machine.memory != before)
    pixels = range(memory.input.offset, memory.input.region.end)
    writable = range(memory.writable.offset, memory.writable.end)
    assert all(int(byte) in writable or int(byte) in pixels for byte in changed)
    return caught.value


def power_on(program, **options):
    return open_simulator(NANO, size=program.memory.size, memory=MemoryModel(**options))


def runs_right(driver, image, expected):
    assert np.array_equal(driver.run(image).reshape(-1), expected.reshape(-1))


def edited(program, number, **fields):
    """The program's bytes with other fields in one instruction, its checksum right."""
    code = bytearray(program.code)
    place = slice(number * isa.INSTRUCTION_BYTES, (number + 1) * isa.INSTRUCTION_BYTES)
    old = isa.decode(bytes(code[place]))
    code[place] = dataclasses.replace(old, fields={**old.fields, **fields}).encode()
    return bytes(code)


def number_of(program, opcode):
    instructions = isa.read_program(program.code)
    return next(n for n, instruction in enumerate(instructions) if instruction.opcode is opcode)


@pytest.mark.parametrize("seed", range(10))
def test_a_flipped_bit_in_the_program(network, seed):
    program, image, expected = network
    bit = int(np.random.default_rng(seed).integers(8 * len(program.code)))
    with power_on(program) as machine:
        driver = Driver(machine, program)
        machine.memory[program.memory.program.offset + bit // 8] ^= 1 << bit % 8
        fault = stopped(driver, image)
        assert (fault.code, fault.address) == (Fault.BAD_CHECKSUM, bit // 512)
        machine.memory[program.memory.program.offset + bit // 8] ^= 1 << bit % 8
        driver.reset()
        runs_right(driver, image, expected)


@pytest.mark.parametrize(
    ("opcode", "fields", "code"),
    [
        (Opcode.HEADER, {"config": 1}, Fault.BAD_CONFIG),
        (Opcode.HEADER, {"isa_version": 99}, Fault.BAD_VERSION),
        (Opcode.HEADER, {"magic": 99}, Fault.BAD_MAGIC),
        (Opcode.HEADER, {"length": 3}, Fault.TRUNCATED),
        (Opcode.CONV, {"tag": 0xBEEF}, Fault.WEIGHT_HEADER),
        (Opcode.CONV, {"split": 5}, Fault.BAD_SPLIT),
        (Opcode.CONV, {"tile_pixels": 0}, Fault.BAD_FIELD),
        (Opcode.POST, {"out_width": 0}, Fault.BAD_FIELD),
        (Opcode.LOAD, {"rows": 0}, Fault.BAD_FIELD),
        (Opcode.LOAD, {"dram": 0x7FFFFF00}, Fault.OUT_OF_WINDOW),
        (Opcode.WEIGHTS, {"dram": 0x7FFFFF00}, Fault.OUT_OF_WINDOW),
        (Opcode.WEIGHTS, {"length": 0x7FFFFFFF}, Fault.OUT_OF_WINDOW),
        (Opcode.STORE, {"dram": 0}, Fault.OUT_OF_WINDOW),
        (Opcode.STORE, {"rows": 0}, Fault.BAD_FIELD),
    ],
)
def test_an_instruction_that_is_wrong(network, opcode, fields, code):
    program, image, expected = network
    with power_on(program) as machine:
        driver = Driver(machine, program)
        machine.write(
            program.memory.program.offset, edited(program, number_of(program, opcode), **fields)
        )
        assert stopped(driver, image).code is code
        machine.write(program.memory.program.offset, program.code)
        driver.reset()
        runs_right(driver, image, expected)


def test_a_program_that_was_cut_off(network):
    program, image, _ = network
    with power_on(program) as machine:
        driver = Driver(machine, program)
        half = len(program.code) // 128 * 64
        machine.write(program.memory.program.offset + half, bytes(len(program.code) - half))
        fault = stopped(driver, image)
        assert (fault.code, fault.address) == (Fault.BAD_CHECKSUM, half // 64)


@pytest.mark.parametrize("bit", [0, 13, 16, 31])
def test_a_flipped_bit_in_a_weight_header(network, bit):
    program, image, expected = network
    with power_on(program) as machine:
        driver = Driver(machine, program)
        first = isa.read_program(program.code)[number_of(program, Opcode.WEIGHTS)]["dram"]
        machine.memory[first + bit // 8] ^= 1 << bit % 8
        assert stopped(driver, image).code is Fault.WEIGHT_HEADER
        machine.memory[first + bit // 8] ^= 1 << bit % 8
        driver.reset()
        runs_right(driver, image, expected)


@pytest.mark.parametrize("what", ["program", "weights", "input", "output"])
def test_a_bus_error_on_any_transfer(network, what):
    program, image, _ = network
    region = getattr(program.memory, what)
    region = getattr(region, "region", region)
    middle = (region.offset + region.length // 2) & ~7
    with power_on(program, errors=(range(middle, middle + 8),)) as machine:
        fault = stopped(Driver(machine, program), image)
    assert fault.code is (Fault.BUS_WRITE if what == "output" else Fault.BUS_READ)
    assert fault.address <= middle < fault.address + 8 * NANO.burst_words


def test_a_start_while_the_machine_is_busy(network):
    program, image, expected = network
    with power_on(program) as machine:
        driver = Driver(machine, program)
        machine.csr_write("control", registers.CONTROL_START)
        with pytest.raises(DnaError, match="refused to write control: SLVERR"):
            machine.csr_write("control", registers.CONTROL_START)
        assert machine.csr_read("status") == registers.STATUS_BUSY
        driver.reset()
        runs_right(driver, image, expected)


def test_a_program_that_waits_for_ever_is_told_who_waits(network):
    program, image, _ = network
    header = isa.read_program(program.code)[0]
    never = [
        dataclasses.replace(header, fields={**header.fields, "length": 3}),
        Instruction(Opcode.STORE, {"wait": 1 << Engine.POST}),
        Instruction(Opcode.END, {"wait": 1 << Engine.STORE}),
    ]
    with power_on(program) as machine:
        driver = Driver(machine, program)
        machine.write(program.memory.program.offset, isa.program_bytes(never))
        fault = stopped(driver, image)
        assert fault.code is Fault.WATCHDOG
        assert waiting(fault.address) == {
            Engine.CONTROL: Activity.WAIT_TOKEN,
            Engine.STORE: Activity.WAIT_TOKEN,
        }
        assert "STORE WAIT_TOKEN" in str(fault)


def test_a_reset_in_the_middle_of_a_run(network):
    program, image, expected = network
    with power_on(program) as machine:
        driver = Driver(machine, program)
        for _ in range(5):
            machine.csr_write("control", registers.CONTROL_START)
            for _ in range(40):
                machine.csr_read("status")
            driver.reset()
            runs_right(driver, image, expected)
