"""What is not written as expected is an error, never a wrong simulator."""

import pytest

from sim.rtl.fast.cxxrtl_forms import check_members, check_statements
from sim.rtl.fast.netlist import parse
from sw.errors import DnaError

KNOWN = """\
	// cell a
	p_a = add_uu<4>(p_b.curr, value<4>{0x3u}).slice<2,1>().val();
	value<3>().concat(p_c).concat(value<1>()) = (p_a ? p_b.curr : i_d);
	if (posedge_p_clk) {
		p_b.next = p_c;
	}
	auto tmp_0 = memory_index(p_a, 0, 16);
	CXXRTL_ASSERT(tmp_0.valid && "out of bounds read");
	if(tmp_0.valid) {
		value<7> tmp_1 = memory_p_m[tmp_0.index];
		const value<7> &tmp_2 = p_c;
		p_c = tmp_1;
	} else {
		p_c = value<7> {};
	}
	memory_p_m.update(tmp_0.index, p_c, p_a.repeat<7>().val(), 0);
"""


def test_what_is_known_passes():
    check_statements(KNOWN)


@pytest.mark.parametrize(
    ("line", "strange"),
    [
        ("\tq_a = p_b;", "'q_a'"),
        ("\tp_a = strange_uu<4>(p_b);", "'strange_uu'"),
        ("\tp_a.assign(p_b);", "'assign'"),
        ("\t*p_a = p_b;", "the assignment"),
        ("\tp_a = p_b = p_c;", "assignment"),
        ("\tp_a += p_b;", "two assignments"),
        ("\tperformer->print(p_a);", "'performer'"),
    ],
)
def test_a_strange_line_is_named(line, strange):
    with pytest.raises(DnaError, match=strange) as raised:
        check_statements(f"{KNOWN}{line}\n")
    assert "pyosys" in str(raised.value) and "\n" not in str(raised.value)


MEMBERS = """\
	// \\hdlname: a
	/*input*/ value<1> p_clk;
	value<1> prev_p_clk;
	bool posedge_p_clk() const {
		return !prev_p_clk.slice<0>().val() && p_clk.slice<0>().val();
	}
	/*output*/ wire<4> p_a;
	memory<8> memory_p_m { 16u };
	p_top(interior) {}
"""


def test_members():
    check_members(MEMBERS)
    with pytest.raises(DnaError, match=r"the member 'array<4> p_b;'"):
        check_members(f"\tarray<4> p_b;\n{MEMBERS}")


def test_a_strange_line_of_rtlil():
    with pytest.raises(DnaError, match="the line '  assume"):
        parse("  wire width 3 \\a\n  assume \\a\n")
