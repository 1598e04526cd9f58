import pytest

from harness.resources import MappedMemory, Resources, memory_problems, multiplier_problems
from hw.config import PRESETS

NANO = PRESETS["nano"]


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
