"""Runs every ``bench_*.py`` on the Verilog of its design, in Icarus.

Verilator would run the machine five times as fast, and takes five minutes of CPU to compile it with
every signal public, as cocotb wants it; Icarus is done with both in half a minute.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cocotb_tools.runner import get_runner

from sim import yosys
from tests.cocotb.designs import DESIGNS

HERE = Path(__file__).parent
NOT_PASSED = {"failure", "error", "skipped"}  # what JUnit's format puts below a test case


def verilog(design):
    """Verilog of a design, all of its logic in continuous assignments.

    Amaranth writes ``always @*`` for logic. Icarus does not run such a block before an input of it
    changes, and where two blocks read each other's outputs, bits that have nothing to do with each
    other, the values in between wake them for ever.
    """
    return yosys.transform(DESIGNS[design](), "proc\nmemory_collect", "write_verilog -noattr")


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Function from a design's name to its runner, built once."""
    if shutil.which("iverilog") is None:
        pytest.fail("no Verilog simulator: apt install iverilog")
    runners = {}

    def runner_of(design):
        if design not in runners:
            directory = tmp_path_factory.mktemp(design)
            source = directory / f"{design}.v"
            source.write_text(verilog(design))
            runners[design] = get_runner("icarus")
            runners[design].build(
                sources=[source],
                hdl_toplevel=design,
                build_dir=directory,
                timescale=("1ns", "1ps"),
                log_file=directory / "build.log",
            )
        return runners[design]

    return runner_of


def run(runner, design, module, directory):
    """Run a cocotb module; fail unless it has tests and all of them pass."""
    results, log_file = directory / "results.xml", directory / "test.log"
    # The runner exits on a failure, with code 0 if there was nothing to run: the results decide.
    with contextlib.suppress(SystemExit):
        runner.test(
            hdl_toplevel=design,
            test_module=f"tests.cocotb.{module}",
            test_dir=directory,
            results_xml=str(results),
            seed=1,
            log_file=log_file,
        )
    log = log_file.read_text()
    assert results.exists(), f"no cocotb test ran:\n{log}"
    cases = ElementTree.parse(results).getroot().findall(".//testcase")
    passed = [case for case in cases if not {child.tag for child in case} & NOT_PASSED]
    assert passed and len(passed) == len(cases), f"{len(passed)} of {len(cases)} passed:\n{log}"


def test_every_design_has_a_bench():
    benches = {path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py")}
    assert benches == set(DESIGNS)


@pytest.mark.parametrize("design", DESIGNS)
def test_design(design, build, tmp_path):
    run(build(design), design, f"bench_{design}", tmp_path)


@pytest.mark.parametrize(
    ("module", "message"),
    [("checks_nothing", "has checked nothing"), ("has_no_test", "no cocotb test ran")],
)
def test_a_run_that_checks_nothing_fails(module, message, build, tmp_path):
    with pytest.raises(AssertionError, match=message):
        run(build("requantizer"), "requantizer", module, tmp_path)
