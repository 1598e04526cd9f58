"""The area model against today's RTL."""

import dataclasses

import pytest

from harness.hardware import verilog
from harness.hardware.area import DEVICE_HAS, area
from hw.config import PRESETS
from tests.sweeps.area import registers

pytestmark = pytest.mark.xdist_group("area")  # what they share is made once

PARTS = {
    "control": {"csr", "watchdog", "sequencer"},
    "DMA": {"dma_read", "dma_write"},
    "feature memory": {"features"},
    "LOAD": {"load"},
    "WEIGHTS": {"weights"},
    "STORE": {"store"},
    "CONV": {"conv"},
    "POST": {"post"},
    "POOL": {"pool"},
    "DEPTHWISE": {"depthwise"},
}
"""Blocks of the estimate (those of CONV together), and what of the machine each counts."""


@pytest.fixture(scope="module")
def nano():
    """Today's, as modules."""
    return verilog.design(PRESETS["nano"])


def test_its_memories_are_those_of_the_design():
    """Those in hw/, to the bit, but for what is no larger than a few words of control."""
    config = dataclasses.replace(
        PRESETS["nano"],
        lanes=8,
        accumulation_depth=64,
        feature_words=2048,
        weight_fifo_words=128,
        burst_words=8,
    )
    modules = verilog.design(config)
    counts = dict.fromkeys(modules, 0)
    counts[verilog.TOP] = 1
    for name, module in modules.items():  # parents before children
        for instance in module.instances.values():
            counts[instance] += counts[name]
    bits = sum(
        counts[name] * memory.words * memory.width
        for name, module in modules.items()
        for memory in module.memories
    )
    assert area(config).memory_bits == pytest.approx(bits, rel=0.02)


def test_every_block_of_the_machine_is_counted_and_has_as_many_registers(nano):
    """But for some 64: synthesis takes a few away, and a memory's output may be one."""
    blocks = nano[verilog.TOP].instances | nano[f"{verilog.TOP}.core"].instances
    there = {name.split("$")[0]: registers(nano, module) for name, module in blocks.items()}
    assert there.keys() - {"core"} == set().union(*PARTS.values())
    for name, parts in PARTS.items():
        found = sum(there[part] for part in parts)
        estimate = sum(
            block.ff
            for block in area(PRESETS["nano"]).blocks
            if block.name == name or block.name.startswith(f"{name} ")
        )
        assert estimate == pytest.approx(found, rel=0.2, abs=64), name


def test_blocks_add_up_to_the_machine():
    for config in PRESETS.values():
        estimate = area(config)
        for kind, there in DEVICE_HAS.items():
            total = getattr(estimate.total, kind)
            assert total == pytest.approx(sum(getattr(block, kind) for block in estimate.blocks))
            assert estimate.shares[kind] == pytest.approx(total / there)


def test_a_machine_with_more_of_anything_is_larger():
    base = dataclasses.replace(PRESETS["f100"], depthwise_words=1)
    for change in (
        {"depthwise_words": 2},
        {"modules": 8},
        {"rows": 64, "columns": 64},
        {"lanes": 128},
        {"accumulation_depth": 1024},
        {"dram_bytes_per_cycle": 256, "modules": 8, "dram_ports": 2},
        {"feature_words": 131072},
        {"weight_fifo_words": 1024},
    ):
        larger = dataclasses.replace(base, **{"lanes": 64, **change})
        assert area(larger).luts > area(base).luts, change


def test_what_fits_the_device():
    assert area(PRESETS["f200"]).fits
    huge = dataclasses.replace(PRESETS["f200"], rows=64, columns=64, lanes=256)
    assert not area(huge).fits
