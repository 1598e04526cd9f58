"""What `dna timing` shows and writes; what finds it is tested with it."""

import json

import msgspec
import pytest
from click.testing import CliRunner

from harness.cli import dna
from harness.hardware.timing import result, run
from harness.hardware.timing.cells.memories import Sram
from harness.hardware.timing.result import BlockTiming, TimedPath
from sw.errors import DnaError
from tests.support import timing_files

PATH = TimedPath("machine", "csr", "core.a[1]", "csr.b[2]", 9.25, 2.5, 3, ("core.c",))


def invoke(*arguments):
    done = CliRunner().invoke(dna, ["timing", "--config", "nano", *map(str, arguments)])
    if isinstance(done.exception, DnaError):
        raise done.exception
    return done


@pytest.fixture
def asked(monkeypatch):
    """What was asked of each judge; each answers at once."""
    calls = {}

    def answer(name, **fields):
        def judge(config, *arguments, **options):
            calls[name] = arguments, options
            return timing_files.timing(config, **{"paths": [PATH], **fields})

        return judge

    counted = msgspec.structs.replace(PATH, ns=None)
    levels = {"target": "levels", "corner": None, "fmax_mhz": None, "paths": [counted]}
    block = BlockTiming("machine", levels=9.25, open_levels=4.0, over=7)
    monkeypatch.setattr(run, "levels", answer("levels", blocks=[block], **levels))
    timed = BlockTiming("machine", ns=2.5, fmax_mhz=400.0, area={"cells": 1234.5})
    monkeypatch.setattr(run, "cells", answer("cells", blocks=[timed], fmax_mhz=400.0))
    monkeypatch.setattr(run, "routed", answer("ecp5", blocks=[timed]))
    return calls


def test_levels(asked, tmp_path):
    file = tmp_path / "levels.json"
    done = invoke("--target", "levels", "--block", "csr", "--block", "machine", "--json", file)
    assert done.exit_code == 0, done.output
    assert asked["levels"][0][0] == ("csr", "machine")
    for text in ("core.a[1]", "csr.b[2]", "9.25", "core.c", "machine", "7"):
        assert text in done.output
    figures = json.loads(file.read_text())
    assert {"config", "target", "tools", "corner", "fmax_mhz", "assumptions", "area"} <= set(
        figures
    )
    (path,) = figures["paths"]
    assert (path["block"], path["from"], path["to"]) == ("csr", "core.a[1]", "csr.b[2]")
    assert (path["levels"], path["ns"]) == (9.25, None)
    assert json.loads(msgspec.json.encode(result.read(file))) == figures


def test_cells(asked):
    options = ("--sram-access", 0.5, "--sram-setup", 0.1, "--for", 500)
    done = invoke("--target", "cells.lib", *options)
    assert done.exit_code == 0, done.output
    told = asked["cells"][1]
    assert (str(told["file"]), told["sram"], told["wanted_mhz"]) == (
        "cells.lib",
        Sram(0.5, 0.1),
        500,
    )
    assert "nano holds 400 MHz" in done.output and "corner: speed grade 8" in done.output
    assert "assumed: pins are not placed" in done.output


def test_ecp5(asked):
    done = invoke("--target", "ecp5")
    assert done.exit_code == 0, done.output
    assert "ecp5" in asked and "nano holds 48.75 MHz" in done.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target", "levels", "--sram-access", 1), "--sram-access goes with a Liberty file, not"),
        (("--target", "ecp5", "--for", 300), "--for goes with a Liberty file, not with ecp5"),
        (("--target", "ecp5", "--block", "csr"), "ecp5 places the whole machine"),
    ],
)
def test_options_that_say_nothing(asked, options, message):
    with pytest.raises(DnaError, match=message):
        invoke(*options)
    assert not asked


def test_a_file_that_is_no_library(tmp_path, monkeypatch):
    monkeypatch.setattr(run.sta, "version", lambda: "2.0.17")
    with pytest.raises(DnaError, match=r"cannot read the Liberty file .*none\.lib: No such file"):
        invoke("--target", tmp_path / "none.lib")


def test_bad_input():
    done = CliRunner().invoke(dna, ["timing", "--config", "nano"])
    assert done.exit_code == 2
