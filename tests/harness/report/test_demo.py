import io
import json
import subprocess
import sys

import pytest
from rich.console import Console

from harness.commands.run import compare, verify
from harness.report.demo import summary
from tests.support.tiny import save_artifact, save_photographs

QUANTIZED = {"int8_top1": 0.9, "fp32_top1": 0.95, "agreement": 0.97, "images": 20}


def dna(*arguments):
    command = [sys.executable, "-m", "harness.cli", *map(str, arguments)]
    assert subprocess.run(command, capture_output=True).returncode in (0, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the steps of the demo leave, made by the commands themselves but for ``quantize``."""
    folder = tmp_path_factory.mktemp("demo")
    network = save_artifact(folder / "tiny")
    photographs = save_photographs(tmp_path_factory.mktemp("photographs"), 2)
    image = photographs / "0.jpg"
    (folder / "quantize.json").write_text(json.dumps(QUANTIZED))
    for step, command, options in (
        ("compare", compare.command, [image]),
        ("verify", verify.command, ["--config", "nano", "--image", image, "--layers", "block3.*"]),
    ):
        arguments = [str(a) for a in (network, *options, "--json", folder / f"{step}.json")]
        command.main(arguments, standalone_mode=False)
    for step, options in (
        ("single_stream", ["--scenario", "SingleStream", "--min-duration", 0.1]),
        ("offline", ["--scenario", "Offline", "--min-duration", 0.1]),
        ("accuracy", ["--scenario", "Offline", "--accuracy"]),
    ):
        output = ["-o", folder / step, "--json", folder / f"{step}.json"]
        dna("loadgen", network, "--data-dir", photographs, *options, *output)
    return folder


def test_the_table_says_what_the_steps_found(folder):
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(summary(folder))
    text = console.export_text()
    compared = json.loads((folder / "compare.json").read_text())
    verified = json.loads((folder / "verify.json").read_text())
    assert "top-1 90.0% against 95.0%, agreement 97.0%" in text
    assert f"0 of {compared['values']:,} values differ" in text
    assert f"0 of {verified['values']:,} values differ" in text
    assert f"{verified['cycles']:,} cycles" in text
    assert "shorter than MLPerf asks: 90th percentile" in text
    assert "of 2 photographs" in text


def test_a_step_that_left_nothing(tmp_path):
    with pytest.raises(OSError, match="quantize"):
        summary(tmp_path)
