import msgspec
import pytest

from harness.hardware.timing import clock
from harness.hardware.timing.clock import Clock
from hw.config import PRESETS
from sw.errors import DnaError
from tests.support import timing_files

NANO = PRESETS["nano"]


def test_a_clock_without_a_file_is_assumed():
    assert clock.chosen(NANO, None, None) == (Clock(300.0), None)
    found, _ = clock.chosen(NANO, None, 250.0)
    assert str(found) == "250 MHz (assumed)"
    assert msgspec.to_builtins(found) == {"mhz": 250.0, "proof": "assumed"}


def test_a_file_proves_a_clock(tmp_path):
    file = timing_files.save(tmp_path / "nano.json", NANO)
    found, timing = clock.chosen(NANO, file, None)
    assert found.mhz == 48.75
    assert str(found) == (f"48.75 MHz (proved: ecp5, speed grade 8, nextpnr-ecp5 0.11.1, {file})")
    assert timing.area == {"machine": {"LUT4": 12000.0}}
    proof = msgspec.to_builtins(found)["proof"]
    assert proof == {
        "target": "ecp5",
        "corner": "speed grade 8",
        "tool": "nextpnr-ecp5 0.11.1",
        "file": str(file),
        "fmax_mhz": 48.75,
        "assumptions": ["pins are not placed"],
    }
    assert msgspec.convert(msgspec.to_builtins(found), Clock) == found


def test_a_slower_clock_than_the_proved_one_is_proved(tmp_path):
    file = timing_files.save(tmp_path / "nano.json", NANO)
    found, _ = clock.chosen(NANO, file, 40.0)
    assert found.mhz == 40.0 and found.proof.fmax_mhz == 48.75


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"digest": "0123"}, r"is about another machine: nano \(0123\), not nano \("),
        ({"hardware": "old"}, "made from other sources of the hardware; make it again: dna timing"),
        ({"fmax_mhz": None, "target": "levels"}, "proves no clock: its target is levels"),
        ({"version": 0}, "is a timing file of version 0, not 1"),
    ],
)
def test_what_proves_no_clock_is_refused(tmp_path, changes, message):
    file = timing_files.save(tmp_path / "nano.json", NANO, **changes)
    with pytest.raises(DnaError, match=message):
        clock.chosen(NANO, file, None)


def test_more_than_is_proved_is_refused(tmp_path):
    file = timing_files.save(tmp_path / "nano.json", NANO)
    with pytest.raises(
        DnaError, match=r"--clock 48\.76 is more than .* proves of nano: 48\.75 MHz"
    ):
        clock.chosen(NANO, file, 48.76)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"config": 3}', b"\xff"])
def test_a_file_that_is_none(tmp_path, content):
    file = tmp_path / "other.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DnaError, match=r"other\.json is no timing file"):
        clock.chosen(NANO, file, None)
    with pytest.raises(DnaError, match=r"missing is no timing file \(No such file"):
        clock.chosen(NANO, tmp_path / "missing", None)
