import pytest
from amaranth.hdl import Module, Signal, Value

from harness.hardware.resources import (
    MappedMemory,
    Resources,
    estimate,
    memory_problems,
    multiplier_problems,
)
from harness.hardware.verilog import read_design
from hw import rtlil
from hw.config import PRESETS
from hw.conv.systolic_array import SystolicArray
from hw.memory.feature_memory import FeatureMemory

pytestmark = pytest.mark.xdist_group("resources")  # what they share is made once

NANO = PRESETS["nano"]


def main_blocks_rtlil():
    """The arrays and the feature memory of nano, with all their ports outside."""
    blocks = {"features": FeatureMemory(NANO)} | {
        f"array_{number}": SystolicArray(rows=NANO.rows, columns=NANO.columns)
        for number in range(NANO.modules)
    }
    m = Module()
    ports = {}
    for name, block in blocks.items():
        m.submodules[name] = block
        for *_, member in block.signature.flatten(block):
            port = Value.cast(member)
            if isinstance(port, Signal):  # a stream that is always ready has a constant there
                ports[f"{name}_{len(ports)}"] = (port, None)
    return rtlil.convert(m, name="dna", ports=ports)


@pytest.fixture(scope="module")
def main_blocks():
    modules = read_design(main_blocks_rtlil())
    passes = []
    found = estimate(NANO, modules, passes.append)
    assert "MEMORY_LIBMAP" in passes
    return found


def block(found, name):
    (result,) = (block for block in found.blocks if block.name == name)
    return result


def test_every_mac_is_a_dsp(main_blocks):
    arrays = block(main_blocks, "array")
    assert arrays.count == NANO.modules
    assert arrays.resources.dsp == NANO.macs
    assert main_blocks.problems == []


def test_the_feature_memory_is_block_ram(main_blocks):
    banks = [memory for memory in main_blocks.memories if "1r1rw" in memory.name]
    assert [(bank.kind, bank.count) for bank in banks] == [("block", NANO.modules)]
    assert sum(bank.words * bank.count for bank in banks) == NANO.feature_words
    bits = NANO.feature_words * NANO.rows * 8
    # A byte of block RAM has nine bits; two ports need no second copy.
    assert bits / 36864 <= block(main_blocks, "features").resources.bram <= bits / 32768


def test_blocks_add_up(main_blocks):
    below = [block.resources for block in main_blocks.blocks if block.depth == 1]
    assert main_blocks.blocks[0].resources == sum(below, Resources())
    elements = block(main_blocks, "array.grid.pe")
    assert elements.count == NANO.macs
    assert elements.resources.ff > NANO.macs * 8 * 2


def test_resources_add_and_multiply():
    one = Resources(lut=5, lut_ram=2, ff=3, dsp=1, bram=0.5, uram=4)
    assert one + one == one * 2 == Resources(lut=10, lut_ram=4, ff=6, dsp=2, bram=1, uram=8)


@pytest.mark.parametrize(
    ("words", "width", "kind", "fine"),
    [
        (64, 32, "flip-flops", True),
        (65, 32, "flip-flops", False),
        (65, 1, "none", False),
        (65, 32, "distributed", True),
        (2048, 32, "distributed", False),
        (2048, 32, "block", True),
        (2048, 32, "ultra", True),
        (64, 288, "flip-flops", False),
    ],
)
def test_large_memories_must_be_ram(words, width, kind, fine):
    problems = memory_problems([MappedMemory("dna.here", words, width, 3, kind)])
    assert len(problems) == (not fine)
    assert all("dna.here" in problem and kind in problem for problem in problems)


def test_every_multiplier_must_be_a_dsp():
    own = {"dna": Resources(), "a.pe_0_0": Resources(dsp=1), "a.pe_1_1": Resources(dsp=1)}
    counts = {"dna": 1, "a.pe_0_0": 8, "a.pe_1_1": 24}
    assert multiplier_problems(NANO, own, counts) == []
    (problem,) = multiplier_problems(NANO, own | {"a.pe_1_1": Resources(lut=70)}, counts)
    assert "a.pe_1_1" in problem
    assert "24" in problem
    (problem,) = multiplier_problems(NANO, own, counts | {"a.pe_1_1": 23})
    assert "31" in problem
