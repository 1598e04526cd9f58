"""A modelled machine of 1 ms an image."""

from harness.hardware.timing.clock import Clock
from harness.host.between import BetweenImages
from harness.loadgen.machine import ModelledMachine
from sim.memory.model import MemoryModel

MACHINE = ModelledMachine(
    config="toy",
    macs=32,
    clock=Clock(100.0),
    cycles=100_000,
    memory=MemoryModel(bandwidth=0.5),
    dram_bytes_per_cycle=8,
    between=BetweenImages(
        accesses=4,
        access_ns=200.0,
        copy_bytes=1000,
        copy_gb_per_s=1.0,
        copy_measured=False,
        softmax_ms=0.01,
        ms=0.0118,
        latency_ms=1.0118,
    ),
)
