import re
import shutil
import subprocess

import pytest

from sim.rtl.library import FOLDER, NO_DEBUG, generate, headers
from sim.rtl.split_eval import split_eval
from tests.sim.lanes import Lanes

# Two inputs, a local that two parts share, one that a single part uses.
SOURCE = """\
struct p_top : public module {
	value<8> p_in;
	value<8> p_out;
	bool posedge_p_clk() const;
};
bool p_top::eval(performer *performer) {
	bool converged = true;
	bool posedge_p_clk = this->posedge_p_clk();
	// \\src: a
	// \\hdlname: a
	value<8> p_shared;
	value<8> p_own;
	// cell a
	p_shared = p_in;
	// cell b
	if (posedge_p_clk) {
		// comment
		p_own = p_shared;
	}
	// connection
	p_out = p_shared;
	return converged;
}
"""


def test_parts_and_what_they_share():
    split = split_eval(SOURCE, part_characters=20)
    structure, *parts = re.split(r"^(?:void|bool) p_top::", split, flags=re.MULTILINE)
    assert [part.split("(")[0] for part in parts] == ["eval_0", "eval_1", "eval_2", "eval"]
    assert "\tvalue<8> p_shared;" in structure and "p_own;" not in structure.split("p_in")[0]
    assert "value<8> p_own;" in parts[1]
    assert split.count("value<8> p_shared;") == split.count("value<8> p_own;") == 1
    order = [parts[3].index(f"eval_{number}(performer);") for number in range(3)]
    assert order == sorted(order)
    assert "return converged;" in parts[3]


def test_short_functions_stay_whole():
    assert split_eval(SOURCE) == SOURCE


def test_what_does_not_settle_at_once_stays_whole():
    source = SOURCE.replace("\tp_out =", "\tconverged = false;\n\tp_out =")
    assert split_eval(source, part_characters=20) == source


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_a_real_design_compiles_in_parts(tmp_path):
    """Nothing is lost: every statement of the whole is in exactly one part."""
    source = generate(Lanes(seed=1, passes=1), NO_DEBUG)
    split = split_eval(source, part_characters=500)
    assert split.count("void p_top::eval_") > 3
    whole, parts = (
        sorted(line for line in text.split("\n") if line.startswith("\tp_") and " = " in line)
        for text in (source, split)
    )
    assert whole == parts and whole
    file = tmp_path / "split.cc"
    file.write_text(split)
    command = ["g++", "-std=c++17", "-fsyntax-only", f"-I{headers()}", f"-I{FOLDER}"]
    done = subprocess.run([*command, "-include", file, FOLDER / "driver.cc"], capture_output=True)
    assert done.returncode == 0, done.stderr
