import dataclasses
import re

import pytest

from harness.hardware import verilog
from harness.hardware.area import DEVICE_HAS, area
from hw.config import PRESETS, DnaConfig

SMALL = DnaConfig(
    name="4 x 8 x 8",
    modules=4,
    rows=8,
    columns=8,
    lanes=16,
    accumulation_depth=256,
    dram_bytes_per_cycle=16,
    feature_words=16384,
    weight_fifo_words=128,
)
MEDIUM = DnaConfig(
    name="2 x 16 x 16",
    modules=2,
    rows=16,
    columns=16,
    lanes=32,
    accumulation_depth=64,
    dram_bytes_per_cycle=32,
    feature_words=8192,
    weight_fifo_words=64,
)
# What `dna rtl` said (Yosys 0.70), LUT, FF, DSP, BRAM36, URAM; the constants of area.py come
# from the first two, not from the third.
SYNTHESISED = [
    (PRESETS["nano"], (18360, 15145, 56, 7, 0)),
    (SMALL, (44495, 35663, 328, 40, 4)),
    (MEDIUM, (69674, 55858, 648, 12, 4)),
]

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
}
"""Blocks of the estimate (those of CONV together), and what of the machine each counts."""
REGISTER = re.compile(
    r"^  cell \$dff [^\n]*\n(?:    parameter [^\n]*\n)*?    parameter \\WIDTH (\d+)", re.M
)


@pytest.mark.parametrize(("config", "expected"), SYNTHESISED, ids=lambda value: str(value)[:20])
def test_it_is_near_what_yosys_says(config, expected):
    total = area(config).total
    assert total.lut == pytest.approx(expected[0], rel=0.05)
    assert total.ff == pytest.approx(expected[1], rel=0.05)
    assert (total.dsp, total.bram, total.uram) == expected[2:]


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


def test_every_block_of_the_machine_is_counted_and_has_as_many_registers():
    """But for some 64: synthesis takes a few away, and a memory's output may be one."""
    modules = verilog.design(PRESETS["nano"])

    def registers(name):
        inside = sum(registers(instance) for instance in modules[name].instances.values())
        return inside + sum(map(int, REGISTER.findall(modules[name].rtlil)))

    blocks = modules[verilog.TOP].instances | modules[f"{verilog.TOP}.core"].instances
    there = {name.split("$")[0]: registers(module) for name, module in blocks.items()}
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
    base = PRESETS["f100"]
    for change in (
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
    huge = dataclasses.replace(PRESETS["f200"], rows=64, columns=64)
    assert not area(huge).fits
