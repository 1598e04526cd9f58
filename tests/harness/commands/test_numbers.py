"""Numbers that cannot be are refused in one line, with the unit."""

import click
import pytest

from harness import cli
from harness.commands import numbers

BAD = ["nan", "inf", "-inf", "-1", "0", "1e309", "x", ""]


def refused(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["dna", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    return error


RUN = ("x", "--scenario", "Offline")
QUANTITIES = [
    (("report", "x", "--clock"), "MHz", "300000000"),
    (("loadgen", *RUN, "--timing", "modelled", "--clock"), "MHz", "300000000"),
    (("explore", "x", "--clock"), "MHz", "300,300000000"),
    (("submission", "build", "x", "--clock"), "MHz", "300000000"),
    (("loadgen", *RUN, "--min-duration"), "seconds", "1e9"),
    (("submission", "build", "x", "--min-duration"), "seconds", "1e9"),
    (("report", "x", "--memory-bandwidth"), "DRAM port's width", "1.5"),
    (("compile", "x", "--memory-bandwidth"), "DRAM port's width", "2"),
    (("report", "x", "--memory-latency"), "cycles", "10000000000"),
    (("loadgen", *RUN, "--threads"), "threads", "100000"),
    (("loadgen", *RUN, "--count"), "photographs", "1e6"),
    (("loadgen", *RUN, "--samples"), "photographs", "99999999999999999999"),
    (("compare", "x", "--random"), "inputs", "1000000000"),
    (("compare", "x", "--jobs"), "processes", "100000"),
    (("verify", "x", "--workers"), "processes", "100000"),
    (("explore", "x", "--workers"), "processes", "100000"),
    (("explore", "x", "--array"), "rows", "4,1000000000"),
    (("bench", "x", "--rounds"), "turns", "1000000000"),
    (("run", "x", "y", "--top"), "classes", "1e3"),
    (("deployed", "x", "y", "--threads"), "threads", "100000"),
]


@pytest.mark.parametrize(("command", "unit", "much"), QUANTITIES)
def test_of_every_option(monkeypatch, capsys, command, unit, much):
    for value in (*BAD, much):
        error = refused(monkeypatch, capsys, *command[:-1], f"{command[-1]}={value}")
        assert command[-1] in error
        assert unit in error
        assert value.split(",")[-1] in error


def test_the_words_of_the_clock(monkeypatch, capsys):
    error = refused(monkeypatch, capsys, "report", "x", "--clock", "300000000")
    assert error == (
        "error: --clock is in MHz; 300000000 is no clock of a machine (0.001 to 10000)\n"
    )


def test_what_can_be_is_taken():
    assert numbers.CLOCK.convert("300", None, None) == 300
    assert numbers.DURATION.convert("0.5", None, None) == 0.5
    assert numbers.THREADS.convert("2", None, None) == 2
    assert numbers.Many(numbers.CLOCK).convert("300,250,300", None, None) == (300, 250)
    with pytest.raises(click.UsageError, match="it is in MHz"):
        numbers.CLOCK.convert("none", None, None)


@pytest.mark.parametrize("cycles", ["1:" + "9" * 5000, "2:1", "a:b", "5"])
def test_ranges_of_cycles(monkeypatch, capsys, cycles):
    error = refused(monkeypatch, capsys, "verify", "x", "--cycles", cycles)
    assert "is not a range of cycles" in error
