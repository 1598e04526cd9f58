"""Scripts that have the arguments and files of MLPerf's, and none of their text."""

import pytest

from harness.loadgen import logs
from harness.mlperf.audit import compliance_scripts
from sw.errors import DnaError
from tests.harness.mlperf.audit.test_compliance import write_logs

START = "import pathlib, sys\nfolder = lambda f: pathlib.Path(sys.argv[sys.argv.index(f) + 1])\n"


def write_script(checkout, place, text):
    script = checkout / "compliance" / place / "run_verification.py"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(START + text)


@pytest.fixture
def checkout(tmp_path):
    return tmp_path / "inference"


@pytest.fixture
def runs(tmp_path):
    return [write_logs(tmp_path / name) for name in ("test", "performance", "accuracy")]


@pytest.mark.parametrize("layout", ["", "nvidia/"])
def test_the_script_is_run_and_its_verdict_is_taken(checkout, runs, layout):
    write_script(
        checkout,
        f"{layout}TEST01",
        "r, c, o = map(folder, ('-r', '-c', '-o'))\n"
        "assert sys.argv[-2:] == ['--dtype', 'float32']\n"
        "for file in ('accuracy/mlperf_log_accuracy.json',\n"
        "             'performance/run_1/mlperf_log_detail.txt'):\n"
        "    assert (r / file).is_file()\n"
        "assert (c / 'mlperf_log_accuracy.json').is_file()\n"
        "(o / 'TEST01').mkdir(parents=True)\n"
        "(o / 'TEST01' / 'verify_accuracy.txt').write_text('TEST FAIL\\n')\n"
        "(o / 'TEST01' / 'verify_performance.txt').write_text('TEST PASS\\n')\n",
    )
    verdict = compliance_scripts.verify("TEST01", *runs, checkout)
    assert (verdict.performance, verdict.accuracy, verdict.passed) == (True, False, False)


def test_v1_1_compares_two_runs_and_has_its_names(checkout, runs):
    for number, run in enumerate(runs):
        (run / logs.SUMMARY).write_text(f"90.0th percentile latency (ns) : {number}\n")
    write_script(
        checkout,
        "nvidia/TEST04-A",
        "a, b, o = map(folder, ('-a', '-b', '-o'))\n"
        "(o / 'TEST04-A').mkdir(parents=True)\n"
        "said = [(f / 'mlperf_log_summary.txt').read_text() for f in (a, b)]\n"
        "(o / 'TEST04-A' / 'verify_performance.txt').write_text(''.join(said) + 'TEST PASS\\n')\n",
    )
    verdict = compliance_scripts.verify("TEST04-B", *runs, checkout)
    assert verdict.passed and verdict.accuracy is None
    lines = [f"90th percentile latency (ns) : {number}" for number in (1, 0)]
    assert verdict.performance_text.splitlines() == [*lines, "TEST PASS"]
    assert (runs[0] / logs.SUMMARY).read_text().startswith("90.0th")


def test_newer_scripts_get_the_logs_as_they_are(checkout, runs):
    (runs[0] / logs.SUMMARY).write_text("90.0th percentile latency (ns) : 5\n")
    write_script(
        checkout,
        "TEST04",
        "c, o = map(folder, ('-c', '-o'))\n"
        "(o / 'TEST04').mkdir(parents=True)\n"
        "said = (c / 'mlperf_log_summary.txt').read_text()\n"
        "(o / 'TEST04' / 'verify_performance.txt').write_text(said)\n",
    )
    verdict = compliance_scripts.verify("TEST04", *runs, checkout)
    assert verdict.performance_text == "90.0th percentile latency (ns) : 5\n"
    assert not verdict.passed


def test_a_script_that_is_missing_or_fails_is_said(checkout, runs, tmp_path):
    with pytest.raises(DnaError, match=r"has no compliance/TEST04/run_verification.py"):
        compliance_scripts.verify("TEST04", *runs, checkout)
    write_script(checkout, "TEST01", "raise SystemExit('broken')\n")
    with pytest.raises(DnaError, match=r"run_verification.py failed: .*broken"):
        compliance_scripts.verify("TEST01", *runs, checkout)
    with pytest.raises(DnaError, match="cannot copy the logs"):
        compliance_scripts.verify("TEST01", tmp_path, *runs[1:], checkout)
    write_script(checkout, "TEST01", "sys.stderr.buffer.write(b'\\xff odd'); sys.exit(1)\n")
    with pytest.raises(DnaError, match=r"run_verification.py failed: .*odd"):
        compliance_scripts.verify("TEST01", *runs, checkout)
    write_script(checkout, "nvidia/TEST01", "")
    (checkout / "compliance" / "TEST01" / "run_verification.py").unlink()
    (runs[0] / logs.SUMMARY).write_bytes(b"\xff")
    with pytest.raises(DnaError, match="cannot copy the logs"):
        compliance_scripts.verify("TEST01", *runs, checkout)
    compliance_scripts.check(checkout, ("TEST01", "TEST05"))
    with pytest.raises(DnaError, match=r"has no compliance/TEST/run_verification.py for TEST05"):
        compliance_scripts.check(checkout, ("TEST05",))
