"""A whole submission of a tiny network with runs of a moment, killed in the middle."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import dna
from harness.loadgen import logs
from harness.mlperf.submissions import check, rounds, submission, system
from harness.mlperf.submissions.series import Run, Series
from hw.config import PRESETS
from sw import artifact
from sw.errors import DnaError
from tests.support.tiny import save_artifact, save_compiled, save_photographs

pytestmark = pytest.mark.xdist_group("submission")  # what they share is made once

V1_1 = rounds.find("v1.1")
SAID = {
    **dict.fromkeys(system.ASKED, "something"),
    "submitter": "someone",
    "division": "open",
    "status": "rdi",
    "system_name": "open DNA (tiny), simulated",
}
NAME = "open_DNA_tiny_simulated"
TIMING = ("--timing", "modelled", "--clock", "100")
RETRIES = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("submission")
    save_compiled(folder / "tiny", PRESETS["micro"])
    save_photographs(folder / "photographs", 12)
    (folder / "system.json").write_text(json.dumps(SAID))
    return folder


UNCHECKED = """
import json
from harness import cli
from harness.mlperf import resnet50
from harness.mlperf.submissions import series

def patient(this, run, work):
    code = timed(this, run, work)
    figures = json.loads((work / series.FIGURES).read_text()) if code == series._INVALID else {}
    return 0 if figures.get("valid") and abs(figures["pace"]["error"]) < 0.1 else code

timed, series.Series._run = series.Series._run, patient
resnet50.check = lambda network: None
cli.main()
"""
"""The command line, but the network need not be ResNet50: a whole submission of it takes hours. And
a run of a millisecond an image may be some percent late: what is tested is the tree, while tests on
the other core take the time that a run needs (test_series.py has the runs that miss their pace)."""


def start(folder):
    command = ["submission", "build", "tiny", "--system", "system.json", "-o", "out"]
    return subprocess.Popen(
        [
            *(sys.executable, "-c", UNCHECKED, *command, "--round", "v1.1"),
            *("--data-dir", "photographs", "--min-duration", "0.3", *TIMING),
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(process, path):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def built(folder):
    """The output folder, after kill -9 in the middle and the same command again."""
    runs = folder / "out" / "runs"
    process = start(folder)
    wait_for(process, runs / "Offline" / "accuracy")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done_before = {
        path: path.stat().st_mtime_ns
        for path in runs.glob("*/*/mlperf_log_detail.txt")
        if not path.parent.name.startswith(".")
    }
    assert len(done_before) >= 2
    assert not (folder / "out" / "tree").exists()

    # Where the machine is too busy for the pace of the model a run fails; then it is tried again.
    for _ in range(RETRIES):
        process = start(folder)
        output, _ = process.communicate(timeout=300)
        assert "finished runs are kept: SingleStream accuracy, Offline accuracy" in output
        if process.returncode != 2:
            break
    assert process.returncode == 0, output
    assert "top-1" in output and "FAILED" not in output
    for path, when in done_before.items():
        assert path.stat().st_mtime_ns == when
    assert not list(runs.glob("*/.*-*"))
    return folder / "out"


def open_series(runs, folder, options=(), round_=V1_1):
    return Series(runs, round_, folder / "tiny", options, folder / "photographs" / "val_map.txt")


def test_the_tree_is_whole(built):
    root = built / "tree" / "open" / "someone"
    description = json.loads((root / "systems" / f"{NAME}.json").read_text())
    assert description["hw_notes"].startswith("SIMULATED: the accelerator does not exist")
    assert "all times are modelled" in description["hw_notes"]
    assert description["system_name"] == "open DNA (tiny), simulated"
    assert "host_network_card_count" not in description
    assert (root / "code/resnet50/dna/hw/isa/formats.py").is_file()
    assert "int32" in (root / "calibration.md").read_text()
    for scenario in ("SingleStream", "Offline"):
        results = root / "results" / NAME / "resnet50" / scenario
        text = (results / "accuracy" / "accuracy.txt").read_text()
        assert text.startswith("accuracy=") and "total=12\nhash=" in text
        measurements = root / "measurements" / NAME / "resnet50" / scenario
        assert sorted(path.name for path in measurements.iterdir()) == [
            "README.md",
            "mlperf.conf",
            f"{NAME}_dna_{scenario}.json",
            "user.conf",
        ]
        compliance = root / "compliance" / NAME / "resnet50" / scenario
        assert sorted(path.name for path in compliance.iterdir()) == sorted(V1_1.tests["resnet50"])
        detail = logs.Detail(results / "performance" / "run_1")
        assert detail["effective_qsl_rng_seed"] == 1624344308455410291
        if scenario == "SingleStream":
            assert detail["effective_min_query_count"] == 1024


def test_the_check_finds_what_is_short_and_nothing_else(built):
    findings = check.check(built / "tree", V1_1)
    allowed = ("at least", "photographs, not the 50000", "accuracy is")
    assert all(any(words in finding for words in allowed) for finding in findings), findings
    assert sum("min_duration_ms is 300" in finding for finding in findings) == 2
    assert sum("12 photographs" in finding for finding in findings) == 2
    done = CliRunner().invoke(dna, ["submission", "check", str(built / "tree"), "--round", "v1.1"])
    assert done.exit_code == 1
    assert "objections, says open DNA's part of the rules" in done.output


def test_each_log_is_read_once(built, monkeypatch):
    read = []

    class Counted(logs.Detail):
        def __init__(self, folder):
            read.append(folder)
            super().__init__(folder)

    monkeypatch.setattr(logs, "Detail", Counted)
    check.check(built / "tree", V1_1)
    assert len(read) == len(set(read)) == len(list(built.glob(f"tree/**/{logs.DETAIL}")))


def mutated(path, tree, before, damage):
    """Findings beyond those ``before`` ``damage`` took the content of a file and gave another."""
    content = path.read_bytes()
    path.unlink()
    if (new := damage(content)) is not None:
        assert new != content
        path.write_bytes(new)
    try:
        return set(check.check(tree, V1_1)) - before
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize(
    "place",
    [
        "results/*/*/*/accuracy",
        "results/*/*/*/performance/run_1",
        "compliance/*/*/*/TEST0*/performance/run_1",
    ],
)
def test_damaged_logs_are_found(built, tmp_path, place):
    tree = tmp_path / "tree"
    shutil.copytree(built / "tree", tree, ignore=shutil.ignore_patterns("sim", "sw", "harness"))
    folder = sorted((tree / "open" / "someone").glob(place))[0]
    before = set(check.check(tree, V1_1))
    for damage in (
        lambda content: None,
        lambda content: b"",
        lambda content: b"[]",
        lambda content: bytes(range(256)),
        lambda content: content[: len(content) // 2],
        lambda content: content[: content.index(b"\n", len(content) // 2) + 1],
        lambda content: b":::MLLOG null\n",
        lambda content: b':::MLLOG {"key": "effective_scenario", "value": [], "metadata": 1}\n',
        lambda content: content[: content.rindex(b"dna_timing")],
    ):
        assert mutated(folder / logs.DETAIL, tree, before, damage)
    for damage in (
        lambda content: None,
        lambda content: b"",
        lambda content: bytes(range(256)),
        lambda content: content[: content.index(b"Timing : ")],
    ):
        assert mutated(folder / logs.SUMMARY, tree, before, damage)
    if folder.name == "run_1":
        faster = mutated(
            folder / logs.SUMMARY,
            tree,
            before,
            lambda content: content.replace(
                b"90.0th percentile latency (ns) : ", b"\\g<0>1"
            ).replace(b"Samples per second: ", b"\\g<0>9"),
        )
        assert any("has another result than" in finding for finding in faster)


def test_other_damage_is_found(built, tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(built / "tree", tree)
    files = [path for path in tree.rglob("*") if path.is_file() and "code" not in path.parts]
    assert len(files) > 40
    before = set(check.check(tree, V1_1))
    for path in files:
        assert mutated(path, tree, before, lambda content: None), path
        if "SingleStream" not in path.parts:
            assert mutated(path, tree, before, lambda content: b"\xff\xfe"), path
    root = tree / "open" / "someone"
    scenario = root / "results" / NAME / "resnet50" / "Offline"
    accuracy = scenario / "accuracy"
    compliance = root / "compliance" / NAME / "resnet50" / "Offline"
    for path, old, new, words in (
        (accuracy / "accuracy.txt", b"total=12", b"total=11", "is not consistent"),
        (accuracy / "accuracy.txt", b"good=", b"good=1", "is not consistent"),
        (accuracy / "accuracy.txt", b"accuracy=", b"accuracy=1.1.", "has no accuracy or no hash"),
        (accuracy / "accuracy.txt", b"hash=", b"hash=0", "has no accuracy or no hash"),
        (accuracy / logs.ACCURACY, b'"qsl_idx" : 2', b'"qsl_idx" : 3', "has another hash"),
        (accuracy / logs.DETAIL, b"AccuracyOnly", b"PerformanceOnly", "is a run in mode"),
        (accuracy / logs.DETAIL, b'"Offline"', b'"MultiStream"', "is a run of MultiStream"),
        (
            scenario / "performance" / "run_1" / logs.DETAIL,
            b'"effective_min_duration_ms", "value": 300',
            b'"effective_min_duration_ms", "value": "long"',
            "min_duration_ms is long, at least",
        ),
        (
            compliance / "TEST05" / "performance" / "run_1" / logs.DETAIL,
            b"313588358309856706",
            b"1",
            "is no run of TEST05",
        ),
    ):
        found = "\n".join(
            mutated(path, tree, before, lambda data, old=old, new=new: data.replace(old, new))
        )
        assert words in found, (words, found)
    shutil.copytree(scenario / "performance" / "run_1", compliance / "TEST01", dirs_exist_ok=True)
    shutil.rmtree(root / "code")
    (root / "code" / "resnet50" / "dna").mkdir(parents=True)
    (root / "systems" / "other.json").write_text("{}")
    found = "\n".join(check.check(tree, V1_1))
    assert "the code is missing" in found
    assert "results/other/resnet50/Offline: the scenario is missing" in found


def test_the_check_sees_damage(built, tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(built / "tree", tree)
    root = tree / "open" / "someone"
    before = set(check.check(tree, V1_1))
    results = root / "results" / NAME / "resnet50" / "SingleStream"
    detail = results / "performance" / "run_1" / logs.DETAIL
    detail.write_text(detail.read_text().replace('"value": "VALID"', '"value": "INVALID"'))
    (results / "accuracy" / "accuracy.txt").write_text(
        "accuracy=10.000%, good=1, total=10\nhash=1\n"
    )
    (root / "systems" / f"{NAME}.json").write_text("{}")
    (root / "calibration.md").unlink()
    (
        root / "compliance" / NAME / "resnet50" / "Offline" / "TEST05" / "verify_performance.txt"
    ).write_text("no")
    found = "\n".join(set(check.check(tree, V1_1)) - before)
    for words in (
        "LoadGen calls it INVALID",
        "accuracy is 10.000 %",
        "division is None",
        "the calibration document is missing",
    ):
        assert words in found
    assert "TEST05/verify_performance.txt: does not say TEST PASS" in "\n".join(
        check.check(tree, V1_1)
    )
    for judge in (check.check, lambda *given: check.check_officially(*given, tmp_path)):
        with pytest.raises(DnaError, match="nothing is no submission"):
            judge(tmp_path / "nothing", V1_1)


def test_an_official_checker_judges(tmp_path):
    """A checker with the arguments and the closing line of MLPerf's, and none of its text."""
    folder = tmp_path / "inference" / "tools" / "submission"
    folder.mkdir(parents=True)
    (tmp_path / "open" / "someone" / "results" / "system").mkdir(parents=True)
    with pytest.raises(DnaError, match="has no submission checker"):
        check.check_officially(tmp_path, V1_1, tmp_path / "inference")
    checker = folder / "submission-checker.py"
    for line, code, clean in (
        ("main ERROR] bad", 1, False),
        ("main ERROR] bad", 0, False),
        ("fine", 0, True),
    ):
        checker.write_text(
            "import sys\n"
            "assert sys.argv[3:5] == ['--version', 'v1.1']\n"
            f"print({line!r}); print('Results=2, NoResults=0'); sys.exit({code})\n"
        )
        assert check.check_officially(tmp_path, V1_1, tmp_path / "inference")[0] is clean
    checker.write_text(
        "import sys\nsys.stdout.buffer.write(b'\\xff ERROR odd bytes\\nResults=0')\n"
    )
    assert len(check.check_officially(tmp_path, V1_1, tmp_path / "inference")[1]) == 1
    checker.write_text("raise KeyError('broken')\n")
    with pytest.raises(DnaError, match="did not come to an end: it said KeyError: 'broken'"):
        check.check_officially(tmp_path, V1_1, tmp_path / "inference")


def test_runs_of_something_else_are_not_taken(built, folder):
    options = ("--timing", "host", "--data-dir", "elsewhere")
    with pytest.raises(DnaError, match="has runs with another options"):
        open_series(built / "runs", folder, options)
    with pytest.raises(DnaError, match="has runs with another round"):
        open_series(built / "runs", folder, options, rounds.find("v6.1"))


def test_an_invalid_run_is_put_aside(folder, tmp_path):
    """The queries announced are gone before the time is up."""
    options = ("--data-dir", str(folder / "photographs"))
    series = open_series(tmp_path, folder, options)
    conf = series.user_conf("SingleStream")
    conf.write_text(
        "resnet50.SingleStream.target_latency = 1000\nresnet50.SingleStream.min_duration = 30000\n"
    )
    run = Run("SingleStream", "performance")
    series.runs = [run]
    with pytest.raises(DnaError, match=r"SingleStream performance is not valid.* 3 times;.*_3"):
        series.complete(lambda text: None)
    assert series.missing() == [run]
    assert (tmp_path / "SingleStream" / "performance.invalid_1" / logs.SUMMARY).is_file()
    series = open_series(tmp_path, folder, options)
    series.runs = [run]
    with pytest.raises(DnaError, match="invalid_6"):
        series.complete(lambda text: None)


def test_fields_are_asked_for_by_name(folder, tmp_path):
    path = tmp_path / "system.json"
    done = CliRunner().invoke(dna, ["submission", "template", "-o", str(path)])
    assert done.exit_code == 0
    assert "submitter: your organization" in done.output
    with pytest.raises(DnaError, match=r"lacks submitter \(your organization.*cooling \("):
        system.read(path)
    path.write_text(json.dumps({**SAID, "division": "ajar"}))
    with pytest.raises(DnaError, match="division is 'ajar', not one of closed, open"):
        system.read(path)
    path.write_text(json.dumps({**SAID, "submitter": "a/b"}))
    with pytest.raises(DnaError, match="submitter 'a/b' becomes a folder"):
        system.read(path)
    path.write_text(json.dumps({**SAID, "colour": "red"}))
    with pytest.raises(DnaError, match="unknown fields: colour"):
        system.read(path)
    for content in (b"[", b"", b"[]", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(DnaError, match="dna submission template"):
            system.read(path)
    for name, value, message in (
        ("submitter", 5, "submitter is 5, no text"),
        ("submitter", "..", r"submitter '\.\.' becomes a folder"),
        ("submitter", "s" * 101, "becomes a folder: 1 to 100"),
        ("system_name", ["a"], r"system_name is \['a'\], no text"),
        ("system_name", "(?!)", "system_name '[(][?]![)]' becomes a folder: 1 to 100"),
        ("system_name", "x" * 300, "system_name 'x+' becomes a folder"),
        ("cooling", "  ", r"lacks cooling \("),
        ("status", {}, "lacks status"),
        ("hw_notes", None, "hw_notes is None, no text"),
    ):
        path.write_text(json.dumps({**SAID, name: value}))
        with pytest.raises(DnaError, match=message):
            system.read(path)
    path.write_text(json.dumps({**SAID, "host_processors_per_node": 2}))
    assert system.read(path)["host_processors_per_node"] == 2


def test_a_modelled_machine_is_declared(folder):
    manifest = artifact.load(folder / "tiny").manifest
    device = {"cycles": 600000, "clock": {"mhz": 300.0, "proof": "assumed"}}
    said = system.declaration(device)
    assert "600000 cycles a program, from a cycle model of the RTL, at 300 MHz (assumed)" in said
    fields = system.describe({**SAID, "hw_notes": "Mine."}, manifest, None, "v6.1")
    assert fields["hw_notes"].startswith("SIMULATED: ")
    assert fields["hw_notes"].endswith(" Mine.")
    assert "host_network_card_count" in fields


def test_a_simulated_machine_is_no_entry_for_closed(built, tmp_path):
    shutil.copytree(built / "tree" / "open", tmp_path / "closed")
    findings = check.check(tmp_path, V1_1)
    assert any("is no entry for the closed division" in finding for finding in findings)


def test_what_is_wrong_is_found_before_the_runs(folder, tmp_path):
    def build(*options):
        given = {"--system": folder / "system.json", "--data-dir": folder / "photographs"}
        given |= dict(zip(options[::2], options[1::2], strict=True))
        words = [str(word) for pair in given.items() for word in pair]
        output = str(tmp_path / "out")
        arguments = ["submission", "build", str(folder / "tiny"), *words, "-o", output]
        done = CliRunner().invoke(dna, arguments)
        assert isinstance(done.exception, DnaError), done.output
        assert not (tmp_path / "out" / "runs").exists()
        return str(done.exception)

    assert "has no compliance/TEST" in build("--reference", tmp_path)
    assert "is missing or not a folder" in build("--data-dir", tmp_path / "absent")
    tree = tmp_path / "out" / "tree"
    tree.mkdir(parents=True)
    (tree / "thesis.tex").write_text("years of work")
    assert "holds something else than a submission" in build()
    (tree / "thesis.tex").unlink()
    tree.rmdir()
    tree.touch()
    assert "holds something else than a submission" in build()


def test_a_modelled_build_needs_a_compiled_artifact(folder, tmp_path):
    artifact = save_artifact(tmp_path / "plain")
    given = ("--system", folder / "system.json", "--data-dir", folder / "photographs")
    words = [*given, "--timing", "modelled", "-o", tmp_path / "out"]
    done = CliRunner().invoke(dna, ["submission", "build", str(artifact), *map(str, words)])
    assert isinstance(done.exception, DnaError)
    assert "dna compile" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_tree_is_whole_or_as_it_was(built, folder, tmp_path, monkeypatch):
    tree = tmp_path / "tree"
    for name in ("open", ".tree-killed"):
        (tree if name == "open" else tmp_path / name).mkdir()
    (tree / "open").write_text("the tree before")
    series = open_series(
        built / "runs",
        folder,
        tuple(json.loads((built / "runs/series.json").read_text())["options"]),
    )
    network = artifact.load(folder / "tiny")

    def full(*given):
        raise OSError(28, "No space left on device", "a file")

    with monkeypatch.context() as patch:
        patch.setattr(submission.compliance, "write", full)
        with pytest.raises(DnaError, match=r"cannot write .*tree: .*No space left"):
            submission.write(series, network, SAID, tree, None)
    assert (tree / "open").read_text() == "the tree before"
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]
    assert submission.write(series, network, SAID, tree, None) == []
    assert (tree / "open" / "someone" / "systems").is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_rounds():
    assert rounds.find("v6.1").scenarios == ("SingleStream", "MultiStream", "Offline")
    assert set(rounds.ROUNDS) == {"v1.1", "v6.0", "v6.1"}
    with pytest.raises(DnaError, match=r"no round 'v2'; there are v1.1, v6.0, v6.1"):
        rounds.find("v2")
