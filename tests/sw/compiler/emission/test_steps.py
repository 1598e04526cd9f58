import pytest

from hw.config import PRESETS
from hw.isa import Engine, Opcode
from hw.isa.accesses import Accesses, Memory, Rows
from sw.compiler.emission.steps import StepMaker
from sw.compiler.layers import MaxPool, Plane, Window
from sw.errors import DnaError

NANO = PRESETS["nano"]
STORE = {"in_base": 5, "in_pitch": 9, "rows": 2, "row_words": 3, "dram": 64, "dram_pitch": 16}


@pytest.fixture
def make():
    layer = MaxPool(
        number=1,
        operations=("b",),
        source=Plane("x", 6, 6, 4, 1),
        target=Plane("y", 3, 3, 4, 1),
        window=Window(2, 2, 2, 2),
        zero_point=0,
        macs=0,
    )
    return StepMaker(NANO, layer)


def test_a_step_touches_what_its_instruction_does(make):
    step = make(Opcode.STORE, STORE)
    assert (step.opcode, step.engine, step.instruction["layer"]) == (Opcode.STORE, Engine.STORE, 1)
    assert step.accesses == Accesses(
        (Rows(Memory.FEATURE, 5, 3, 2, 9),), (Rows(Memory.DRAM, 64, 3 * NANO.rows, 2, 16),)
    )


def test_a_step_may_stand_for_others(make):
    assert make(Opcode.STORE, STORE, Accesses()).accesses == Accesses()


def test_a_value_too_large_for_its_field_is_refused(make):
    message = "b is too large for the instruction set: STORE.rows = 16384 is not in 0..16383"
    with pytest.raises(DnaError, match=message):
        make(Opcode.STORE, {**STORE, "rows": 1 << 14})
