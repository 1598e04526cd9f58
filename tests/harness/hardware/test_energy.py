"""Energy: events counted otherwise, and the table of energies."""

import msgspec
import pytest

from harness.hardware.area import area
from harness.hardware.energy import energy
from harness.hardware.energy_constants import DRAM, TECHNOLOGIES, Range
from hw.isa import Engine, Opcode, read_program
from hw.status import Activity
from sim.memory.presets import names, preset
from tests.support.report_runs import CONFIG, compiled, predicted

TABLE = TECHNOLOGIES["45nm"]


def made(**changes):
    return energy(
        compiled(), predicted(), **{"memory": "ddr4-2400x16", "clock_mhz": 200.0, **changes}
    )


def block(name, found=None):
    return next(one for one in (found or made()).blocks if one.name == name)


def test_the_whole_is_the_sum_of_its_blocks():
    found = made()
    assert [one.name for one in found.blocks] == [*(b.name for b in area(CONFIG).blocks), "DRAM"]
    assert found.mj_per_image == pytest.approx(sum(one.mj for one in found.blocks))
    assert found.mj_machine == pytest.approx(found.mj_per_image - found.blocks[-1].mj)
    assert found.mj_low < found.mj_per_image < found.mj_high
    seconds = predicted().cycles / 200e6
    assert found.watts == pytest.approx(found.mj_per_image / 1e3 / seconds)
    macs = sum(layer.macs for layer in compiled().layers)
    assert found.tops_per_w == pytest.approx(2 * macs / 1e12 / (found.mj_per_image / 1e3))
    assert found.estimated


def test_events_are_those_of_program_and_run():
    program, run = compiled(), predicted()
    convolutions = [layer for layer in program.layers if layer.kind == "conv"]
    arrays = block("CONV arrays").events
    assert arrays["multiply-accumulates"] == sum(layer.macs for layer in convolutions)
    registers = next(one.ff for one in area(CONFIG).blocks if one.name == "CONV arrays")
    assert arrays["flip-flop cycles"] == registers * run.cycles
    moved = 8 * (sum(run.words_read.values()) + run.words_written)
    assert block("DRAM").events == {"bits": 8 * moved}
    # All that WEIGHTS reads goes into its queue, and out of it.
    assert block("WEIGHTS").events["words"] == 2 * run.words_read[Engine.WEIGHTS]
    opcodes = {span.index: read_program(program.code)[span.index] for span in run.spans}
    busy = sum(
        span.activity[Activity.BUSY] * CONFIG.modules // program.layers[span.layer].split
        for span in run.spans
        if opcodes[span.index].opcode is Opcode.CONV
    )
    additions = block("CONV accumulation").events["additions"]
    assert additions == pytest.approx(busy * CONFIG.columns, rel=0.01)


def test_several_images_share_a_run():
    images = msgspec.structs.replace(compiled(), images=2)
    two = energy(images, predicted(), memory="ideal", clock_mhz=200.0)
    one = made(memory="ideal")
    assert block("DRAM", two).mj == pytest.approx(block("DRAM", one).mj / 2)
    assert block("CONV arrays", two).mj == pytest.approx(block("CONV arrays", one).mj / 2)


@pytest.mark.parametrize(
    ("memory", "kind"),
    [("ideal", "ideal"), ("2xddr4-2400x64", "ddr4"), ("hbm2-channel", "hbm2")],
)
def test_the_memory_is_priced_by_its_kind(memory, kind):
    found = block("DRAM", made(memory=memory))
    assert found.mj == pytest.approx(found.events["bits"] * DRAM[kind].bit.usual * 1e-9)


def test_every_named_memory_has_a_price():
    for name in names():
        assert made(memory=name).blocks[-1].mj > 0
    assert preset("4xlpddr4-3200x32") and made(memory="4xlpddr4-3200x32").mj_per_image > 0


def test_words_of_memories_are_those_of_the_table_and_between():
    for size, picojoules in TABLE.sram.pairs:
        assert TABLE.word(64, size * 1024).usual == pytest.approx(picojoules)
        assert TABLE.word(256, size * 1024).usual == pytest.approx(4 * picojoules)
    assert TABLE.word(64, 16 * 1024).usual == pytest.approx(10 * 2**0.5)
    assert TABLE.word(64, 2048).usual == pytest.approx(5)
    assert TABLE.word(64, 1 << 22).usual > 100


def test_ranges_add_up():
    assert Range(1, 2, 3) * 2 + Range(1, 1, 1) == Range(3, 5, 7)
    assert made(technology="7nm").mj_machine < made().mj_machine


def test_memories_by_cacti_are_those_of_its_grid_and_between():
    table = TECHNOLOGIES["45nm-cacti"]
    memories = {(m.bits, m.kibibytes): m for m in table.sram.record.memories}
    for (bits, size), memory in memories.items():
        both = (memory.read_pj + memory.write_pj) / 2
        assert table.word(bits, size * 1024).usual == pytest.approx(both)
        assert table.sram.mm2(bits, size * 1024) == pytest.approx(memory.mm2)
    small, large = (memories[64, size].mm2 for size in (16, 64))
    assert table.sram.mm2(64, 32 * 1024) == pytest.approx((small * large) ** 0.5)
    assert table.sram.mm2(2048, 4 << 20) > memories[1024, 1024].mm2


def test_the_area_of_memories_is_of_all_that_are_large():
    assert made().sram_mm2 is None
    found = made(technology="45nm-cacti")
    area_of = TECHNOLOGIES["45nm-cacti"].sram.mm2
    words = CONFIG.feature_words // CONFIG.modules
    each = area_of(8 * CONFIG.rows, words * CONFIG.rows)
    assert block("feature memory", found).sram_mm2 == pytest.approx(CONFIG.modules * each)
    assert found.sram_mm2 == pytest.approx(sum(one.sram_mm2 or 0 for one in found.blocks))
    assert len([one for one in found.blocks if one.sram_mm2 is not None]) == 3
