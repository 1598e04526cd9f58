"""What a series of runs does when the world around it changes; its runs here are made by hand."""

import json

import pytest

from harness.loadgen import logs
from harness.mlperf.submissions import rounds
from harness.mlperf.submissions.series import FIGURES, USER_CONF, Run, Series
from sw import artifact
from sw.errors import DnaError

V1_1 = rounds.find("v1.1")
FIRST = Run("SingleStream", "accuracy")


class Quick(Series):
    """Runs take no time; ``during`` is called in each."""

    code = 0

    def during(self):
        pass

    def _run(self, run, work):
        for name in (*logs.LOGS, FIGURES):
            (work / name).write_text("{}")
        (work / USER_CONF).write_bytes(self.user_conf(run.scenario).read_bytes())
        self.during()
        return self.code


@pytest.fixture
def open_series(tmp_path):
    """Opens the series in `runs`, of an artifact of which only the manifest is there."""
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / artifact.MANIFEST).write_text("{}")
    (tmp_path / "list").write_text("0.jpg 1\n")

    def begin(*options, round_=V1_1):
        runs, tested = tmp_path / "runs", tmp_path / "tiny"
        return Quick(runs, round_, tested, options, tmp_path / "list")

    return begin


def announce(text):
    pass


@pytest.mark.parametrize("name", [f"tiny/{artifact.MANIFEST}", "list"])
def test_what_is_tested_may_not_change(open_series, tmp_path, name):
    series = open_series()
    series.runs = series.runs[:2]
    series.during = lambda: (tmp_path / name).write_text("other")
    with pytest.raises(DnaError, match=rf"{name} was changed while its runs were going on"):
        series.complete(announce)
    assert len(series.missing()) == 2
    with pytest.raises(DnaError, match="was changed"):
        series.complete(announce)
    series = open_series()  # nothing was through: it begins anew
    series.complete(announce)
    (tmp_path / name).write_text("a third")
    with pytest.raises(DnaError, match="has runs with another"):
        open_series()
    (tmp_path / name).unlink()
    with pytest.raises(DnaError, match=rf"cannot read .*{name}: No such file"):
        open_series()


@pytest.mark.parametrize(
    ("pace", "good"),
    [({}, True), ({"pace": {"kept": True}}, True), ({"pace": {"kept": False}}, False)],
)
def test_an_unpaired_run_may_be_invalid_but_not_off_its_pace(open_series, pace, good):
    series = open_series()
    series.code = 1
    series.runs = [Run("SingleStream", "TEST04-A")]
    place = series.place(series.runs[0])
    work = place.parent

    def figures():
        for path in work.glob(f".TEST04-A-*/{FIGURES}"):
            path.write_text(json.dumps(pace))

    series.during = figures
    if good:
        series.complete(announce)
        assert place.exists()
    else:
        with pytest.raises(DnaError, match="missed the pace of the model, 3 times"):
            series.complete(announce)
        assert not place.exists()


def test_a_failed_run_leaves_nothing(open_series, tmp_path):
    series = open_series()
    for code in (2, -9):
        series.code = code
        with pytest.raises(DnaError, match="SingleStream accuracy failed; the same command"):
            series.complete(announce)

    def interrupted():
        raise KeyboardInterrupt

    series.during = interrupted
    with pytest.raises(KeyboardInterrupt):
        series.complete(announce)
    assert not list((tmp_path / "runs").rglob("*accuracy*"))


def test_options_may_change_until_a_run_is_through(open_series, tmp_path):
    open_series("--data-dir", "mistyped", round_=rounds.find("v6.1")).user_conf("SingleStream")
    series = open_series("--data-dir", "right")
    assert "1024" in series.user_conf("SingleStream").read_text()
    series.user_conf("Offline").write_text("# mine\n")
    series.runs = [FIRST]
    series.complete(announce)
    assert open_series("--data-dir", "right").user_conf("Offline").read_text() == "# mine\n"
    with pytest.raises(DnaError, match="has runs with another options"):
        open_series("--data-dir", "mistyped")


def test_a_damaged_run_is_named(open_series, tmp_path):
    series = open_series()
    series.complete(announce)
    assert series.missing() == []
    place = series.place(FIRST)
    for name, damage in (
        (FIGURES, lambda path: path.write_text("{")),
        (FIGURES, lambda path: path.unlink()),
        (logs.DETAIL, lambda path: path.unlink()),
    ):
        before = (place / name).read_text()
        damage(place / name)
        with pytest.raises(DnaError, match=r"SingleStream/accuracy is damaged .*remove it"):
            series.missing()
        (place / name).write_text(before)
    assert series.missing() == []


def test_all_runs_of_a_scenario_have_one_user_conf(open_series):
    series = open_series()
    series.runs = [FIRST]
    series.complete(announce)
    series.user_conf("SingleStream").write_text("# other\n")
    with pytest.raises(DnaError, match=r"user.conf is not the one of .*SingleStream/accuracy"):
        open_series().complete(announce)


def test_a_folder_that_cannot_be_used(open_series, tmp_path):
    runs = tmp_path / "runs"
    runs.touch()
    with pytest.raises(DnaError, match=r"cannot use .*runs"):
        open_series()
    runs.unlink()
    series = open_series()
    (runs / "SingleStream").touch()
    with pytest.raises(DnaError, match=r"cannot use .*runs: .*SingleStream"):
        series.complete(announce)
    for content in (b"[]", b"\xff", b"{"):
        (runs / "series.json").write_bytes(content)
        with pytest.raises(DnaError, match=r"runs.*(damaged|cannot use|codec|Expecting)"):
            open_series()
