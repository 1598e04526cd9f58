"""The damage sweep itself: it finds nothing here, and it counts what must not be."""

import os
import signal

import pytest

from tests.sweeps import damage
from tests.sweeps.damage_cases import DAMAGES, Verdict, bases, damaged, judge

CASES = 400


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return bases(tmp_path_factory.mktemp("whole"))


def test_random_damage_is_refused_or_computed_alike(whole):
    verdicts = [verdict for _, verdict in damage.sweep(5, CASES, whole)]
    assert [verdict for verdict in verdicts if not verdict.clean] == []
    kinds = [verdict.kind for verdict in verdicts]
    assert len(kinds) == CASES
    assert kinds.count("refused") > CASES // 2
    assert kinds.count("equal") > CASES // 50
    assert all("\n" not in verdict.text for verdict in verdicts)


def test_every_damage_is_drawn(whole):
    said = "\n".join(damaged(5, number, whole)[1] for number in range(CASES))
    for words in ("flipped", "cut", "another artifact", "exchanged", "became", "instruction"):
        assert words in said
    assert len(DAMAGES) > 10


def test_what_is_whole_is_equal(whole, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.sweeps.damage_cases.damaged", lambda *_: (whole[1], "nothing"))
    assert judge(0, 0, whole, tmp_path) == Verdict("equal", "", "nothing", program=True)


def _ends(_seed, number, _whole, _folder):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 3:
        os._exit(1)
    return Verdict("refused", "", "")


def test_a_crash_is_counted_and_the_next_case_is_judged(whole):
    kinds = [verdict.kind for _, verdict in damage.sweep(0, 5, whole, _ends)]
    assert kinds == ["refused", "crash", "refused", "crash", "refused"]


def _never_ends(_seed, number, _whole, _folder):
    if number == 0:
        signal.pause()
    return Verdict("refused", "", "")


def test_a_case_that_hangs_is_counted(whole, monkeypatch):
    monkeypatch.setattr(damage, "PATIENCE", 0.5)
    kinds = [verdict.kind for _, verdict in damage.sweep(0, 2, whole, _never_ends)]
    assert kinds == ["hangs", "refused"]
