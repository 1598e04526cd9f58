"""The driver in C, compiled with the program's own header, on simulated machines."""

import contextlib
import ctypes
import dataclasses
import re
import subprocess

import msgspec
import numpy as np
import pytest

from harness.hardware.driver import headers
from hw.bus import registers
from hw.status import Fault
from sim.memory.model import BASE, MemoryModel
from sim.rtl.registry import open_simulator
from sw.errors import DnaError
from tests.sim.rtl.copier import Copier
from tests.sim.test_driver import (
    HEIGHT,
    NANO,
    WIDTH,
    copier_program,
    expected,
    pixels,
    through_program,
)

pytestmark = pytest.mark.xdist_group("driver")  # what they share is made once

OK, NO_MACHINE, OTHER_VERSION, OTHER_CONFIG, BUSY, STOPPED, TIMEOUT = range(7)
READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32)
WRITE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)
IDLE = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
# What a user would write around the driver: one machine, one program.
MAIN = """
#include "dna_driver.h"
#include "dna_program.h"
static struct dna dna;
static struct dna_bus bus;
typedef uint32_t read_t(void *, uint32_t);
typedef void write_t(void *, uint32_t, uint32_t);
typedef void idle_t(void *);
int open_(read_t *r, write_t *w, idle_t *i, uint64_t base, uint32_t watchdog) {
    bus.read = r; bus.write = w; bus.idle = i;
    return dna_open(&dna, &bus, &dna_program, base, watchdog);
}
int start(void) { return dna_start(&dna); }
int wait_(uint32_t looks) { return dna_wait(&dna, looks); }
int reset(int force, uint32_t looks) { return dna_reset(&dna, force, looks); }
uint32_t fault(uint32_t *address) { return dna_fault(&dna, address); }
uint64_t cycles(void) { return dna_cycles(&dna); }
void input(uint8_t *window, const int8_t *p) { dna_write_input(&dna_program, window, p); }
void output(uint8_t *window, int8_t *v) { dna_read_output(&dna_program, window, 0, v); }
"""


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


class Host:
    """A host in C around a simulated machine; its window is the machine's memory."""

    def __init__(self, folder, program, *, component=None, memory=None, looks_run=True):
        folder.mkdir(exist_ok=True)
        for name in headers.SOURCES:
            (folder / name).write_text(headers.source(name))
        (folder / headers.REGISTERS).write_text(headers.registers_header())
        (folder / headers.PROGRAM).write_text(headers.program_header(program, "a */ name"))
        (folder / "main.c").write_text(MAIN)
        strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
        sources = ["main.c", "dna_driver.c"]
        subprocess.run(
            ["gcc", *strict, "-shared", "-fPIC", "-o", "host.so", *sources], cwd=folder, check=True
        )
        self.code = ctypes.CDLL(str(folder / "host.so"))
        self.code.cycles.restype = ctypes.c_uint64
        self.program = program
        options = {} if component is None else {"component": component}
        self.machine = open_simulator(NANO, size=program.memory.size, memory=memory, **options)
        self.machine.write(0, headers.memory_image(program))

        def write(_, offset, value):
            names = [name for name, r in registers.BY_NAME.items() if r.offset == offset]
            self.machine.csr_write(names[0], value)

        def idle(_):
            if looks_run:
                with contextlib.suppress(DnaError):
                    self.machine.run_to_interrupt(64)

        self.calls = (
            READ(lambda _, offset: self.machine.csr_read(offset)),
            WRITE(write),
            IDLE(idle),
        )

    def open(self, watchdog=registers.DEFAULT_WATCHDOG_CYCLES):
        return self.code.open_(*self.calls, ctypes.c_uint64(BASE), ctypes.c_uint32(watchdog))

    def run(self, image, looks=1000):
        self.code.input(
            self.machine.memory.ctypes.data_as(ctypes.c_void_p),
            image.ctypes.data_as(ctypes.c_void_p),
        )
        found = self.code.start()
        return found or self.code.wait_(ctypes.c_uint32(looks))

    def output(self):
        target = self.program.memory.output
        values = np.zeros((target.height, target.width, target.channels), np.int8)
        self.code.output(pointer(self.machine.memory), pointer(values))
        return values

    def fault(self):
        address = ctypes.c_uint32()
        return Fault(self.code.fault(ctypes.byref(address))), address.value


def test_images_one_behind_the_other(tmp_path):
    host = Host(tmp_path, copier_program(), component=Copier)
    assert host.open() == OK
    for seed in range(3):
        assert host.run(pixels(seed)) == OK
        assert np.array_equal(host.output(), expected(pixels(seed)))
        low = host.machine.csr_read("cycles_low")
        assert host.code.cycles() == low > 0
        assert not host.machine.csr_read("interrupt")


def test_an_image_through_the_machine(tmp_path):
    host = Host(tmp_path, through_program())
    assert host.open() == OK
    image = pixels(0)[:HEIGHT, :WIDTH, : NANO.rows].copy()
    assert host.run(image) == OK
    assert np.array_equal(host.output(), image)


def test_a_fault_stays_until_the_reset(tmp_path):
    bad = MemoryModel(errors=(range(8192 + 128, 8192 + 136),))
    host = Host(tmp_path, copier_program(), component=Copier, memory=bad)
    assert host.open() == OK
    assert host.run(pixels(0)) == STOPPED
    assert host.fault() == (Fault.BUS_READ, 8192 + 128)
    assert host.code.start() == STOPPED
    assert host.open() == STOPPED
    assert host.code.reset(0, 1000) == OK
    assert host.open() == OK


def test_a_machine_that_hangs(tmp_path):
    host = Host(tmp_path, copier_program(), component=Copier, looks_run=False)
    assert host.open(watchdog=0) == OK
    host.machine.write(0, bytes(4))  # a length of 0 hangs
    assert host.run(pixels(0), looks=20) == TIMEOUT
    assert host.code.start() == BUSY
    assert host.open() == BUSY
    assert host.code.reset(1, 1000) == OK
    host.machine.write(0, host.program.code)
    assert host.run(pixels(1), looks=10_000) == OK
    assert np.array_equal(host.output(), expected(pixels(1)))


def test_another_machine(tmp_path):
    program = copier_program()
    other = dataclasses.replace(NANO, name="other", weight_fifo_words=32)
    host = Host(tmp_path / "a", msgspec.structs.replace(program, config=other), component=Copier)
    assert host.open() == OTHER_CONFIG

    host = Host(tmp_path / "b", program, component=Copier)
    genuine, host.machine.csr_read = host.machine.csr_read, lambda offset: 0
    assert host.open() == NO_MACHINE
    version = registers.BY_NAME["version"].offset
    host.machine.csr_read = lambda offset: genuine(offset) + (offset == version)
    assert host.open() == OTHER_VERSION


def test_the_header_has_every_register_field_and_fault():
    text = headers.registers_header()
    defined = dict(re.findall(r"^#define (DNA_\w+) (\w+?)u?(?: |$)", text, re.M))
    for register in registers.REGISTERS:
        name = f"DNA_{register.name}".upper()
        assert int(defined[name], 16) == register.offset
        for field in register.fields:
            if field.name != "value":
                assert int(defined[f"{name}_{field.name.upper()}"], 16) == register.mask(field.name)
    for fault in Fault:
        assert f"DNA_FAULT_{fault.name} = {fault.value}," in text
    for name in ("dna_engine", "dna_activity"):
        assert f"enum {name} {{" in text
