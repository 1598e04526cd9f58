"""For all tests: Ctrl-C works, and only what ``tests/skips.py`` allows is skipped."""

import signal

import pytest

from tests import skips

# What a shell runs in the background ignores Ctrl-C, and so do its children; some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

PREFIX = "Skipped: "


def pytest_addoption(parser):
    parser.addoption(
        "--without",
        action="append",
        default=[],
        choices=sorted(skips.WITHOUT),
        help="an extra that is not installed: its tests may be skipped",
    )


class SkipCheck:
    """Collects the reasons of what is skipped; a reason that is not allowed fails the run.

    With pytest-xdist the workers' reports arrive at the process that started them, which judges.
    """

    def __init__(self, without):
        self.without = without
        self.reasons = []

    @property
    def unexpected(self):
        return skips.unexpected(self.reasons, self.without)

    def pytest_runtest_logreport(self, report):
        if report.skipped and not hasattr(report, "wasxfail"):
            self.reasons.append(report.longrepr[2].removeprefix(PREFIX))

    def pytest_collectreport(self, report):
        if report.skipped:
            self.reasons.append(report.longrepr[2].removeprefix(PREFIX))

    def pytest_sessionfinish(self, session):
        if self.unexpected and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        for reason in self.unexpected:
            terminalreporter.line(f"error: skipped, which tests/skips.py does not allow: {reason}")


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(SkipCheck(config.getoption("without")))
