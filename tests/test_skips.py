"""A skip that ``tests/skips.py`` does not allow fails the run, on one process and on two."""

import subprocess
import sys

import pytest

from tests import skips

HEAD = "import pytest\nfrom tests import skips\n\n"
ALLOWED = "@pytest.mark.skip(reason=skips.KERNELS)\ndef test_skipped(): pass"
UNEXPECTED = "@pytest.mark.skip(reason='a rainy day')\ndef test_skipped(): pass"
IN_THE_TEST = "def test_skipped(): pytest.skip('a rainy day')"
IN_A_FIXTURE = (
    "@pytest.fixture\ndef weather(): pytest.skip('a rainy day')\ndef test_skipped(weather): pass"
)
WHOLE_MODULE = "pytest.skip('a rainy day', allow_module_level=True)"
NO_TORCH = "pytest.importorskip('no_torch', reason=skips.not_installed('quantize'))"
EXPECTED_FAILURE = "@pytest.mark.xfail\ndef test_fails(): assert False"


@pytest.fixture
def run(tmp_path, pytestconfig):
    """Runs a test that passes and ``body`` with this conftest; exit code and lines of errors."""

    def run(body, *options):
        (tmp_path / "test_good.py").write_text("def test_passes(): pass")
        (tmp_path / "test_it.py").write_text(HEAD + body)
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "tests.conftest", *options],
            cwd=tmp_path,
            env={"PYTHONPATH": str(pytestconfig.rootpath), "PATH": ""},
            capture_output=True,
            text=True,
        )
        lines = done.stdout.splitlines()
        return done.returncode, [line for line in lines if line.startswith("error: ")]

    return run


@pytest.mark.parametrize(
    ("body", "options", "reason"),
    [
        (ALLOWED, "-n 0", None),
        (ALLOWED, "-n 2", None),
        (UNEXPECTED, "-n 0", "a rainy day"),
        (IN_THE_TEST, "-n 0", "a rainy day"),
        (IN_A_FIXTURE, "-n 2", "a rainy day"),
        (WHOLE_MODULE, "-n 0", "a rainy day"),
        (WHOLE_MODULE, "-n 2", "a rainy day"),
        (NO_TORCH, "-n 0", "the extra `quantize` is not installed"),
        (NO_TORCH, "-n 2 --without quantize", None),
        (EXPECTED_FAILURE, "-n 0", None),
    ],
)
def test_only_what_is_allowed_is_skipped(run, body, options, reason):
    code, errors = run(body, *options.split())
    expected = f"error: skipped, which tests/skips.py does not allow: {reason}"
    assert (code, errors) == ((0, []) if reason is None else (1, [expected]))


def test_another_exit_code_stays(run):
    code, errors = run(UNEXPECTED, "-n", "0", "-k", "nothing")
    assert (code, errors) == (pytest.ExitCode.NO_TESTS_COLLECTED, [])


def test_a_reason_is_allowed_as_a_whole():
    assert skips.unexpected([skips.KERNELS, skips.KERNELS + " today"]) == [skips.KERNELS + " today"]
    assert skips.unexpected(["this PyTorch has no qnnpack", "this PyTorch has no time for us"]) == [
        "this PyTorch has no time for us"
    ]


@pytest.mark.parametrize(
    ("platform", "machine", "expected"),
    [
        ("linux", "x86_64", [skips.VERILATOR, skips.YICES]),
        ("linux", "aarch64", []),
        ("darwin", "arm64", [skips.VERILATOR, skips.YICES]),
    ],
)
def test_wheels_are_missing_on_linux_only(monkeypatch, platform, machine, expected):
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert skips.unexpected([skips.VERILATOR, skips.YICES]) == expected
