"""A modelled machine of 1 ms an image."""

from harness.hardware.timing.clock import Clock
from harness.loadgen.machine import ModelledMachine
from sim.memory.model import MemoryModel

MACHINE = ModelledMachine(
    config="toy",
    macs=32,
    clock=Clock(100.0),
    cycles=100_000,
    memory=MemoryModel(bandwidth=0.5),
    dram_bytes_per_cycle=8,
)
