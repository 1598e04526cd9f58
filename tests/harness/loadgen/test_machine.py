import dataclasses

import numpy as np
import pytest

from harness.hardware.memory import MemoryChoice
from harness.host.between import DRIVER_ACCESSES
from harness.loadgen.machine import (
    RESTART_CYCLES,
    SETUP_ACCESSES,
    SETUP_CYCLES,
    ModelledBatch,
    modelled_machine,
)
from hw.bus import registers
from hw.config import PRESETS
from hw.isa import ISA_VERSION, MAGIC
from sim.cycles import predict
from sim.driver import Driver
from sw import artifact
from sw.compiler import compile_graph
from tests.support.graphs import random_small_graph
from tests.support.toy_machine import MACHINE


class CountingMachine:
    """Registers that answer like a machine's at rest, and count the accesses."""

    def __init__(self, program):
        digest = int(program.config.digest, 16)
        self.program = program
        self.accesses = self.writes = 0
        self.base, self.size, self.patience = 0, program.memory.size, 1
        self._values = {
            "id": MAGIC,
            "version": ISA_VERSION,
            "config_high": digest >> 32,
            "config_low": digest & 0xFFFFFFFF,
            "status": 0,
        }

    def write(self, offset, content):
        pass

    def read(self, offset, length):
        return np.zeros(length, np.uint8)

    def csr_read(self, name):
        self.accesses += 1
        return self._values[name]

    def csr_write(self, name, value):
        self.accesses += 1
        self.writes += 1
        assert name != "control" or value == registers.CONTROL_START

    def run_to_interrupt(self, max_cycles, progress):
        pass


def test_times_of_a_machine():
    assert MACHINE.latency() == pytest.approx(1e-3)
    assert MACHINE.latency(3) == pytest.approx((300_000 + 2 * RESTART_CYCLES) / 100e6)
    assert MACHINE.throughput == pytest.approx(100e6 / (100_000 + RESTART_CYCLES))
    assert MACHINE.figures()["memory"]["bytes_per_cycle"] == 4.0


BATCHES = dataclasses.replace(MACHINE, batch=ModelledBatch(4, 200_000))
WHOLE = 200_000 + RESTART_CYCLES


@pytest.mark.parametrize(
    ("samples", "cycles"),
    [
        (1, [100_000]),
        (4, [200_000] * 4),
        (8, [200_000] * 4 + [WHOLE + 200_000] * 4),
        # One more: the program of one image, for which the registers are written anew.
        (5, [200_000] * 4 + [WHOLE + SETUP_CYCLES + 100_000]),
        # Two or three more are done sooner by a batch that is not full.
        (6, [200_000] * 4 + [WHOLE + 200_000] * 2),
        (3, [200_000] * 3),
    ],
)
def test_batches_and_what_is_left_over(samples, cycles):
    got = [BATCHES.completion(number, samples) * 100e6 for number in range(1, samples + 1)]
    assert got == pytest.approx(cycles)
    assert BATCHES.latency(samples) == BATCHES.completion(samples, samples)


def test_what_is_left_over_image_by_image():
    slow = dataclasses.replace(MACHINE, batch=ModelledBatch(4, 390_000))
    before = 390_000 + RESTART_CYCLES + SETUP_CYCLES
    expected = [390_000] * 4 + [before + n * 100_000 + (n - 1) * RESTART_CYCLES for n in (1, 2, 3)]
    got = [slow.completion(number, 7) * 100e6 for number in range(1, 8)]
    assert got == pytest.approx(expected)


def test_the_throughput_is_that_of_batches_and_the_latency_that_of_one_image():
    assert BATCHES.throughput == pytest.approx(4 * 100e6 / WHOLE)
    assert BATCHES.throughput == pytest.approx(40_000 / BATCHES.latency(40_000), rel=1e-4)
    figures = BATCHES.figures()
    assert figures["latency_ms"] == pytest.approx(1.0)
    assert figures["batch"] == {"images": 4, "cycles": 200_000}
    assert "100000 cycles a program of an image, 200000 of one of 4 images" in str(BATCHES)
    assert MACHINE.figures()["batch"] is None


def test_a_program_of_several_images_runs_where_images_come_together(tmp_path):
    graph = random_small_graph(np.random.default_rng(1), (16, 16, 3))
    one, several = (compile_graph(graph, PRESETS["nano"], images=count) for count in (1, 3))
    network = artifact.make(graph, model="m", framework="none", preprocessing=None)
    network = artifact.with_program(network, one, several)
    for batches in (False, True):
        machine = modelled_machine(network, tmp_path, MemoryChoice(), batches=batches)
        assert machine.cycles == predict(one).cycles
        assert machine.batch == (ModelledBatch(3, predict(several).cycles) if batches else None)
        between = machine.figures()["between_images"]
        assert between["copy_bytes"] == one.memory.input.region.length
        assert between["latency_ms"] == pytest.approx(
            machine.cycles / 300e3 + between["ms"], rel=1e-6
        )


def test_another_program_takes_as_many_accesses_more_as_the_model_counts():
    graph = random_small_graph(np.random.default_rng(1), (48, 48, 3))
    machine = CountingMachine(compile_graph(graph, PRESETS["micro"]))
    Driver(machine, machine.program)
    assert machine.writes == SETUP_ACCESSES


def test_the_driver_makes_as_many_accesses_as_the_model_counts():
    graph = random_small_graph(np.random.default_rng(1), (48, 48, 3))
    program = compile_graph(graph, PRESETS["micro"])
    machine = CountingMachine(program)
    driver = Driver(machine, program)
    shape = (program.memory.input.height, program.memory.input.width, 3)
    before = machine.accesses
    driver.run(np.zeros(shape, np.int8))
    assert machine.accesses - before == DRIVER_ACCESSES
