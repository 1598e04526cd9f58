"""Parts that run only if needed against Amaranth's simulator, and how they are cut."""

import re

import numpy as np
import pytest

from sim.memory.model import MemoryModel
from sim.memory.stalls import Stalls
from sim.rtl import design, library
from sim.rtl.fast import split_eval as split_module
from sim.rtl.fast.split_eval import split_eval
from sw.errors import DnaError
from tests.sim.rtl.engines.test_engines import HARD, power_on, run
from tests.sim.rtl.fast.lanes import Lanes
from tests.sim.rtl.idle import Idle
from tests.sim.rtl.streams.engines import ENGINES, open_engine
from tests.sim.rtl.tangle import Tangle

WORDS = 600

# A local that two parts share, one that a single part uses, a register.
SOURCE = """\
struct p_top : public module {
	/*input*/ value<1> p_clk;
	/*input*/ value<8> p_in;
	wire<8> p_b_2e_kept;
	value<8> p_out;

	p_top(interior) {}
}; // struct p_top

void p_top::reset() {
}

bool p_top::eval(performer *performer) {
	bool converged = true;
	bool posedge_p_clk = this->posedge_p_clk();
	// \\src: a
	// \\hdlname: a
	value<8> p_a_2e_shared;
	value<8> p_b_2e_own;
	// connection
	p_out = p_a_2e_shared;
	// cell b
	if (posedge_p_clk) {
		// comment
		p_b_2e_kept.next = p_b_2e_own;
	}
	// cell b
	p_b_2e_own = p_a_2e_shared;
	// cell a
	p_a_2e_shared = p_in;
	return converged;
}
"""


def whole(source):
    return "".join([source.declarations, source.main, *source.parts])


@pytest.fixture
def cut_small(tmp_path, monkeypatch):
    """The compiled engine with parts of a few statements; tells how many it made."""
    made = []

    def cut(source):
        parts = split_eval(source, part_characters=1)
        made.append(0 if parts is None else whole(parts).count("void p_top::eval_"))
        return parts

    monkeypatch.setattr(library, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(design, "split_eval", cut)
    return made


@pytest.mark.parametrize(
    ("component", "parameters", "ports", "width", "least"),
    [
        (Idle, {"notebooks": 6}, ("i", "o"), 2, 10),
        (Lanes, {"seed": 2, "passes": 1}, ("values", "sums"), 5, 10),
        # Cells that are computed in loops beside the parts are ports to them.
        (Lanes, {"seed": 3}, ("values", "sums"), 5, 6),
    ],
)
def test_bits_and_cycles_are_those_of_the_simulator(
    cut_small, component, parameters, ports, width, least
):
    words = np.random.default_rng(5).integers(0, 256, (WORDS, width), np.uint8)
    words[WORDS // 3 : WORDS // 2] = words[0]  # for a while everything repeats itself
    entrance, leaving = ports
    engines = [open_engine(engine, component, **parameters) for engine in ENGINES]
    assert len(cut_small) == 1 and cut_small[0] >= least
    for stalls in (Stalls(0, 0), Stalls(0.7, 3)):
        fast, slow = (
            engine.run({entrance: words}, {leaving: WORDS}, stalls=stalls) for engine in engines
        )
        assert np.array_equal(fast.outputs[leaving], slow.outputs[leaving])
        for port, accepted in slow.accepted.items():
            assert np.array_equal(fast.accepted[port], accepted)
        assert len(np.unique(fast.outputs[leaving], axis=0)) > WORDS // 10


@pytest.mark.parametrize(
    ("seed", "part_characters", "late"), [(0, 1, False), (1, 600, False), (2, 1, True)]
)
def test_registers_that_read_one_another(monkeypatch, tmp_path, seed, part_characters, late):
    """Some take their values in their own parts, some when all parts are done.

    With ``late`` all registers and memories do as ports do.
    """
    made = []
    if late:
        state = re.compile(r"^\t(?:/\*output\*/ )?(?:wire|memory)<\d+> (\w+)", re.MULTILINE)
        monkeypatch.setattr(split_module, "_OUTPUT", state)

    def cut(source):
        made.append(whole(split_eval(source, part_characters)))
        return split_eval(source, part_characters)

    monkeypatch.setattr(library, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(design, "split_eval", cut)
    words = np.random.default_rng(seed).integers(0, 256, (300, 2), np.uint8)
    words[100:150] = words[0]
    fast, slow = (
        open_engine(engine, Tangle, seed=seed).run({"i": words}, {"o": 300}, stalls=Stalls(0.3, 1))
        for engine in ENGINES
    )
    assert np.array_equal(fast.outputs["o"], slow.outputs["o"])
    assert len(np.unique(fast.outputs["o"], axis=0)) > 200
    assert ".next = next_" in made[0]
    assert late is not ("dna_kept<" in made[0])
    assert late is not bool(re.search(r"changed_\d+ \|= dna_write\(", made[0]))
    assert not late or re.search(r"is_late = 1, memory_\w+\.update\(", made[0])


def test_a_machine_in_parts(cut_small):
    """Ports that change between the edges, accesses to registers, and a second program."""
    for memory in (MemoryModel(), HARD):
        seen = []
        for engine in ENGINES:
            machine = power_on(engine, memory, record_writes=True)
            cycles = [run(machine, length) for length in (3, 60)]
            seen.append((cycles, machine.counters(), machine.feature_writes().words.tolist()))
        assert seen[0] == seen[1]
    assert cut_small[0] > 15


def test_parts_and_what_they_share():
    source = split_eval(SOURCE, part_characters=25)
    split = whole(source)
    assert split.count("void p_top::eval_") == 3
    structure = source.declarations
    assert "\tvalue<8> p_a_2e_shared;" in structure
    assert "p_b_2e_own;" not in structure
    assert split.count("value<8> p_a_2e_shared;") == split.count("value<8> p_b_2e_own;") == 1


def test_statements_stand_after_what_they_read():
    split = whole(split_eval(SOURCE, part_characters=25))
    positions = [
        split.index(statement)
        for statement in (
            "\tp_a_2e_shared = p_in",
            "\tp_b_2e_own = p_a",
            "p_b_2e_kept = p_b_2e_own",
        )
    ]
    assert positions == sorted(positions)


def test_short_functions_stay_whole():
    assert split_eval(SOURCE) is None


def test_what_does_not_settle_at_once_stays_whole():
    source = SOURCE.replace("\tp_out =", "\tconverged = false;\n\tp_out =")
    assert split_eval(source, part_characters=1) is None


def test_a_loop_is_an_error():
    source = SOURCE.replace("p_a_2e_shared = p_in", "p_a_2e_shared = p_b_2e_own")
    with pytest.raises(DnaError, match="a loop of statements"):
        split_eval(source, part_characters=1)
