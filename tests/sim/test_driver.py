"""The driver software, on a machine without engines and on the real one."""

import dataclasses

import numpy as np
import pytest

from hw import isa
from hw.config import PRESETS
from hw.isa import Engine, Instruction, Opcode, program_bytes
from hw.status import Activity, Fault
from sim.driver import Driver, MachineError
from sim.memory.model import MemoryModel
from sim.memory.stalls import Stalls
from sim.rtl import registry
from sim.rtl.registry import open_simulator
from sw.errors import DnaError
from sw.program import DramTensor, MemoryMap, Program, Region
from tests.sim.rtl.copier import Copier

NANO = PRESETS["nano"]
LENGTH = 24  # DRAM words of a run of the Copier


def tensor(name, offset, height, width, channels):
    return DramTensor(name, height, width, channels, offset, width * channels, channels)


def program(code, source, target, *, config=NANO, weights=b""):
    return Program(
        config=config,
        code=code,
        weights=weights,
        memory=MemoryMap(
            program=Region(0, len(code)),
            weights=Region(4096, len(weights)),
            input=source,
            output=target,
            spill=Region(16384, 0),
            writable=target.region,
            size=16384,
        ),
        layers=[],
    )


def copier_program(config=NANO):
    """Sums three planes of pixels of 8 bytes."""
    code = np.array([LENGTH, 8192], "<u4").tobytes()
    planes = tensor("planes", 8192, 3, LENGTH, 8)
    return program(code, planes, tensor("sum", 12288, 1, LENGTH, 8), config=config)


def copier(memory=None, engine="cxxrtl", **options):
    machine = open_simulator(NANO, engine, size=16384, memory=memory, component=Copier)
    return Driver(machine, copier_program(), **options)


def pixels(seed):
    return np.random.default_rng(seed).integers(-128, 128, (3, LENGTH, 8), np.int8)


def expected(image):
    sums = image.view(np.uint64).sum(axis=0, dtype=np.uint64)
    return sums.reshape(1, LENGTH).view(np.int8).reshape(1, LENGTH, 8)


@pytest.mark.parametrize("engine", registry.names())
def test_runs_back_to_back(engine):
    driver = copier(engine=engine)
    for seed in range(3):
        image = pixels(seed)
        assert np.array_equal(driver.run(image), expected(image))
    assert driver.cycles == driver.machine.csr_read("cycles_low") > 3 * LENGTH


def test_a_fault_is_told_until_the_reset():
    driver = copier(MemoryModel(errors=(range(8192 + 128, 8192 + 136),)))
    first = "stopped with BUS_READ: .*byte offset 0x2080 of the memory window"
    for _ in range(2):
        with pytest.raises(MachineError, match=first) as info:
            driver.run(pixels(0))
        assert (info.value.code, info.value.address) == (Fault.BUS_READ, 8192 + 128)
    driver.reset()
    driver.machine.csr_write("program", 16384)
    with pytest.raises(MachineError, match="OUT_OF_WINDOW"):
        driver.run(pixels(0))


def test_after_a_fault_and_a_reset_all_is_well():
    driver = copier()
    driver.machine.write(0, bytes(4))  # a length of 0 hangs
    with pytest.raises(MachineError, match="WATCHDOG: the machine stands still"):
        driver.run(pixels(0))
    driver.reset()
    driver.machine.write(0, driver.program.code)
    assert np.array_equal(driver.run(pixels(1)), expected(pixels(1)))


def test_the_watchdog_is_set():
    driver = copier(MemoryModel(latency=300), watchdog=200)
    with pytest.raises(MachineError, match="WATCHDOG"):
        driver.run(pixels(0))


def test_a_memory_slower_than_the_watchdog_is_no_hang():
    driver = copier(MemoryModel(latency=10_000))
    assert np.array_equal(driver.run(pixels(0)), expected(pixels(0)))


def test_an_interrupted_run():
    driver = copier()
    with pytest.raises(DnaError, match="no interrupt in 10 cycles"):
        driver.run(pixels(0), max_cycles=10)
    with pytest.raises(DnaError, match="still runs a program; reset it"):
        driver.run(pixels(0))
    driver.reset()
    assert np.array_equal(driver.run(pixels(2)), expected(pixels(2)))


@pytest.mark.parametrize("image", [pixels(0)[:2], pixels(0).view(np.uint8)])
def test_a_wrong_input(image):
    with pytest.raises(DnaError, match=r"takes int8 \[3, 24, 8\], not"):
        copier().run(image)


def test_another_configuration():
    other = dataclasses.replace(NANO, name="other", weight_fifo_words=32)
    machine = open_simulator(NANO, size=16384, component=Copier)
    with pytest.raises(DnaError, match=rf"{NANO.digest}, the program is for other"):
        Driver(machine, copier_program(other))


def test_too_little_memory():
    machine = open_simulator(NANO, size=8192, component=Copier)
    with pytest.raises(DnaError, match="needs 16384 bytes of memory, the machine has 8192"):
        Driver(machine, copier_program())


@pytest.mark.parametrize(
    ("code", "address", "text"),
    [
        (Fault.BAD_CHECKSUM, 7, "instruction 7"),
        (Fault.BUS_WRITE, 0x40, "byte offset 0x40"),
        (Fault.BANK_CONFLICT, 99, "feature word 99"),
        (Fault.BAD_SPLIT, 3, "layer 3"),
        (Fault.BAD_FIELD, 3, "layer, or byte offset of a transfer, 3"),
        (Fault.WEIGHT_HEADER, 5, "tag 5"),
        (Fault.TOKEN_OVERFLOW, 16 * Engine.LOAD + Engine.CONV, "from LOAD to CONV"),
        (
            Fault.WATCHDOG,
            Activity.WAIT_WEIGHTS << 3 * Engine.CONV | Activity.WAIT_TOKEN << 3 * Engine.POST,
            "CONV WAIT_WEIGHTS, POST WAIT_TOKEN",
        ),
    ],
)
def test_every_fault_says_where(code, address, text):
    assert text in str(MachineError(code, address))


def test_every_fault_has_a_meaning():
    for code in Fault:
        if code is not Fault.NONE:
            assert code.name in str(MachineError(code, 0))


HEIGHT, WIDTH = 3, 8


def through_program():
    """Loads an image and stores it: nothing but LOAD and STORE."""
    row = WIDTH * NANO.rows
    source = tensor("image", 8192, HEIGHT, WIDTH, NANO.rows)
    target = tensor("copy", 12288, HEIGHT, WIDTH, NANO.rows)
    steps = [
        Instruction(
            Opcode.LOAD,
            {
                "layer": 1,
                "signal": 1 << Engine.STORE,
                "dram": source.offset,
                "dram_pitch": row,
                "row_bytes": row,
                "rows": HEIGHT,
                "windows": WIDTH,
                "window_bytes": NANO.rows,
                "window_step": NANO.rows,
                "window_words": 1,
                "out_base": 5,
                "out_pitch": WIDTH + 2,
            },
        ),
        Instruction(
            Opcode.STORE,
            {
                "layer": 2,
                "wait": 1 << Engine.LOAD,
                "signal": 1 << Engine.CONTROL,
                "in_base": 5,
                "in_pitch": WIDTH + 2,
                "rows": HEIGHT,
                "row_words": WIDTH,
                "dram": target.offset,
                "dram_pitch": row,
            },
        ),
        Instruction(Opcode.END, {"wait": 1 << Engine.STORE}),
    ]
    header = {
        "magic": isa.MAGIC,
        "isa_version": isa.ISA_VERSION,
        "config": int(NANO.digest, 16),
        "length": len(steps) + 1,
    }
    return program(program_bytes([Instruction(Opcode.HEADER, header), *steps]), source, target)


def test_an_image_through_the_machine():
    """Every engine, the same image, cycles, counters and writes."""
    code = through_program()
    hard = MemoryModel(latency=9, bandwidth=0.4, reorder=True, stalls=Stalls(0.2, 1))
    seen = []
    for engine in registry.names():
        with open_simulator(NANO, engine, size=16384, memory=hard, record_writes=True) as machine:
            driver = Driver(machine, code)
            for seed in range(2):
                image = pixels(seed)[:, :WIDTH, : NANO.rows].copy()
                assert np.array_equal(driver.run(image), image)
            writes = machine.feature_writes()
            assert (writes.source == Engine.LOAD).all()
            assert np.array_equal(writes.words.reshape(image.shape), image)
            table = machine.layer_activity()
            assert (table.sum(axis=(1, 2)) == driver.cycles).all()
            seen.append((driver.cycles, machine.counters(), table.tolist(), writes.cycle.tolist()))
    assert all(other == seen[0] for other in seen[1:])
