"""Which instruction set is taken."""

import pytest

from sim.functional import isa
from sim.functional.isa import ISAS
from sw.errors import DnaError


@pytest.fixture
def cpu(monkeypatch):
    """A CPU with two of them."""
    monkeypatch.setattr(isa, "available", lambda: ISAS[1:3])


@pytest.mark.usefixtures("cpu")
def test_the_best_one_unless_limited(monkeypatch):
    monkeypatch.delenv(isa.VARIABLE, raising=False)
    assert isa.chosen() is ISAS[1]
    monkeypatch.setenv(isa.VARIABLE, ISAS[2].name)
    assert isa.chosen() is ISAS[2]
    monkeypatch.setenv(isa.VARIABLE, isa.NONE)
    assert isa.chosen() is None


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("limit", [ISAS[0].name, "sse2"])
def test_what_is_not_here_is_refused(monkeypatch, limit):
    monkeypatch.setenv(isa.VARIABLE, limit)
    with pytest.raises(DnaError, match=f"DNA_ISA={limit}: here are avxvnni, avx2, none"):
        isa.chosen()


def test_without_a_compiler_there_is_none(monkeypatch):
    isa.available.cache_clear()
    monkeypatch.setattr(isa.native, "COMPILER", "no-such-compiler")
    try:
        assert isa.available() == ()
    finally:
        isa.available.cache_clear()
