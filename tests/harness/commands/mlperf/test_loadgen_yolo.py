"""`dna loadgen --benchmark yolo`: a detector under LoadGen, in processes of their own."""

import sys

import numpy as np
import pytest

from harness.data.coco import Coco
from harness.loadgen import logs
from harness.loadgen.systems.detections import Detections
from hw.config import PRESETS
from sw import artifact
from tests.support.loadgen_runs import one_line_error, with_fixed_cycles
from tests.support.tiny import save_artifact, save_coco, save_detector

PHOTOGRAPHS = 6
CYCLES = 600_000  # 2 ms at 300 MHz


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("yolo")
    save_coco(folder, PHOTOGRAPHS)
    save_detector(folder / "detector", PRESETS["micro"])
    return folder


@pytest.fixture
def dna(tmp_path, folder):
    """Runs it: exit code, figures or None, stdout, stderr; the cycle model is a fixed number."""

    def run(*options, name="detector", data="coco"):
        command = [
            *(sys.executable, "-m", "tests.support.fixed_cycles", "loadgen", folder / name),
            *("--benchmark", "yolo", "--data-dir", folder / data, *options),
        ]
        return with_fixed_cycles(command, tmp_path, CYCLES)

    return run


@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Offline"])
@pytest.mark.parametrize("timing", ["host", "modelled"])
def test_performance_run(dna, scenario, timing):
    code, figures, stdout, stderr = dna(
        *("--scenario", scenario, "--timing", timing, "--min-duration", "0.5")
    )
    assert code in (0, 1), stderr  # 1: this computer was too busy for the modelled pace
    assert figures["benchmark"] == "yolo"
    assert figures["valid"] is True
    assert figures["errors"] == []
    assert figures["map"] is None and figures["top1"] is None
    assert f"{PHOTOGRAPHS} of 64 photographs in memory" in figures["shortfalls"]
    assert figures["host"]["parts"] == ["boxes and their suppression in numpy"]
    part = "not in these times" if timing == "modelled" else "a part of these times"
    assert f"Host, {part}: on the host" in stdout.replace("\n", " ")


@pytest.mark.parametrize("timing", ["host", "modelled"])
def test_accuracy_run(dna, folder, tmp_path, timing):
    """The answers are those of the task, whoever works them out; and the number is theirs."""
    options = ("--scenario", "Offline", "--timing", timing, "--accuracy")
    code, figures, stdout, stderr = dna(*options)
    assert code == 0, stderr
    assert (figures["images"], figures["valid"], figures["mode"]) == (6, True, "accuracy")
    assert f"{PHOTOGRAPHS} of 1525 photographs" in stdout
    assert "mAP" in stdout
    network = artifact.load(folder / "detector")
    task = Detections(network, Coco(folder / "coco"), None)
    model = task.model(1)
    expected = {
        index: task.answer(path, model(task.load(path)[np.newaxis])).tobytes().hex().upper()
        for index, path in enumerate(task.paths)
    }
    assert dict(logs.raw_answers(tmp_path / "logs" / logs.ACCURACY)) == expected
    assert any(expected.values())
    assert figures["map"] == task.judge(tmp_path / "logs").map


def test_what_does_not_fit_is_one_line(dna, folder):
    save_artifact(folder / "tiny")
    options = ("--scenario", "Offline", "--accuracy")
    for given, words in (
        ({"data": "nothing"}, "yolo needs a folder in COCO's layout"),
        ({"name": "tiny"}, "tiny does not see the whole photograph"),
    ):
        code, _, _, stderr = dna(*options, **given)
        assert code == 2
        assert words in one_line_error(stderr)
    code, _, _, stderr = dna(*options, "--scheduler", "tcp://127.0.0.1:1")
    assert code == 2
    assert "a cluster answers with classes" in one_line_error(stderr)
