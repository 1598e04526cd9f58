"""Runs of LoadGen that end before their time, and where their logs appear."""

import numpy as np
import pytest

from harness.loadgen import logs
from harness.loadgen.configuration import settings
from harness.loadgen.systems import runner
from harness.loadgen.systems.qsl import SampleLibrary
from harness.loadgen.systems.sut import SystemUnderTest
from sw.errors import DnaError


@pytest.mark.parametrize("models", [1, 2])
def test_a_failing_model_ends_the_test_with_its_error(tmp_path, models):
    def broken(batch):
        raise DnaError("the model is broken")

    def load(path):
        return np.zeros((2, 2, 3), np.int8)

    scenario = "SingleStream" if models == 1 else "Offline"
    test = settings.build(scenario, accuracy=False, photographs=4, min_duration=5)
    settings.expect(test, scenario, 1000.0)
    library = SampleLibrary([tmp_path] * 4, load, cpus=1)
    system = SystemUnderTest(library, [broken] * models, lambda path, found: found)
    ticks = []
    with pytest.raises(DnaError, match="the model is broken"):
        runner.run(test, library, system, tmp_path, lambda: ticks.append(None))
    assert list(tmp_path.iterdir()) == []
    assert system.completed > 0
    assert library.samples == {}


def test_logs_appear_finished_and_replace_none(tmp_path):
    """``finish`` gets them first; where others are by then, those stay."""

    def finish(folder):
        (folder / logs.SUMMARY).write_text("finished")
        assert not (tmp_path / logs.SUMMARY).exists()

    def too_late(folder):
        (tmp_path / logs.DETAIL).write_text("of another test")

    def full(folder):
        raise DnaError("cannot write the logs")

    def run(finish):
        test = settings.build("Offline", accuracy=True, photographs=4)
        library = SampleLibrary([tmp_path] * 4, lambda path: np.zeros((2, 2, 3), np.int8), cpus=1)
        system = SystemUnderTest(library, [lambda batch: batch], lambda path, found: found)
        runner.run(test, library, system, tmp_path, lambda: None, finish=finish)

    with pytest.raises(DnaError, match="cannot write the logs"):
        run(full)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DnaError, match="another test has written its logs to"):
        run(too_late)
    assert [path.name for path in tmp_path.iterdir()] == [logs.DETAIL]
    (tmp_path / logs.DETAIL).unlink()
    run(finish)
    assert (tmp_path / logs.SUMMARY).read_text() == "finished"
