import numpy as np
import pytest

from harness.loadgen.machine import DRIVER_ACCESSES, RESTART_CYCLES
from hw.bus import registers
from hw.config import PRESETS
from hw.isa import ISA_VERSION, MAGIC
from sim.driver import Driver
from sw.compiler import compile_graph
from tests.support.graphs import random_small_graph
from tests.support.toy_machine import MACHINE


class CountingMachine:
    """Registers that answer like a machine's at rest, and count the accesses."""

    def __init__(self, program):
        digest = int(program.config.digest, 16)
        self.accesses = 0
        self.memory = np.zeros(program.memory.size, np.uint8)
        self._values = {
            "id": MAGIC,
            "version": ISA_VERSION,
            "config_high": digest >> 32,
            "config_low": digest & 0xFFFFFFFF,
            "status": 0,
        }

    def write(self, offset, content):
        pass

    def csr_read(self, name):
        self.accesses += 1
        return self._values[name]

    def csr_write(self, name, value):
        self.accesses += 1
        assert name != "control" or value == registers.CONTROL_START

    def run_to_interrupt(self, max_cycles, progress):
        pass


def test_times_of_a_machine():
    assert MACHINE.latency() == pytest.approx(1e-3)
    assert MACHINE.latency(3) == pytest.approx((300_000 + 2 * RESTART_CYCLES) / 100e6)
    assert MACHINE.throughput == pytest.approx(100e6 / (100_000 + RESTART_CYCLES))
    assert MACHINE.figures()["memory"]["bytes_per_cycle"] == 4.0


def test_the_driver_makes_as_many_accesses_as_the_model_counts():
    graph = random_small_graph(np.random.default_rng(1), (48, 48, 3))
    program = compile_graph(graph, PRESETS["micro"])
    machine = CountingMachine(program)
    driver = Driver(machine, program)
    shape = (program.memory.input.height, program.memory.input.width, 3)
    before = machine.accesses
    driver.run(np.zeros(shape, np.int8))
    assert machine.accesses - before == DRIVER_ACCESSES
