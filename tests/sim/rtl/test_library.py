"""The cache of compiled libraries."""

import pytest

from sim.rtl import library
from sw.errors import DnaError
from tests.sim.rtl.streams.cxxrtl import DRIVER, PRELUDE
from tests.sim.rtl.streams.engines import open_engine
from tests.sim.rtl.streams.toy import Totals


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "cache_folder", lambda: tmp_path / "rtl")
    monkeypatch.setattr(library, "FLAGS", ("-O0", *library.FLAGS[1:]))
    return tmp_path / "rtl"


def build(width=20):
    return library.build(Totals, {"width": width}, DRIVER, PRELUDE)


def forbid(monkeypatch, name):
    def fail(*_):
        raise AssertionError(f"{name} was called again")

    monkeypatch.setattr(library, name, fail)


def test_a_second_build_makes_nothing(cache, monkeypatch):
    first = build()
    forbid(monkeypatch, "generate")
    forbid(monkeypatch, "_compile")
    assert build() == first
    assert first.parent == cache
    assert len(list(cache.iterdir())) == 2


def test_a_new_note_leads_to_the_same_library(cache, monkeypatch):
    first = build()
    for note in cache.glob("*.txt"):
        note.unlink()
    forbid(monkeypatch, "_compile")
    assert build() == first


def test_other_parameters_give_another_library(cache):
    assert build(20) != build(21)


def test_a_lost_library_is_made_again(cache):
    first = build()
    first.unlink()
    assert build() == first
    assert first.is_file()


def test_without_a_compiler(cache, monkeypatch):
    monkeypatch.setattr(library, "COMPILER", "no-such-compiler")
    with pytest.raises(DnaError, match=r"no-such-compiler is missing.*apt install"):
        open_engine("cxxrtl", Totals, width=20)


def test_a_failed_compilation_leaves_nothing(cache, monkeypatch):
    monkeypatch.setattr(library, "FLAGS", (*library.FLAGS, "-Dsize_t=nonsense"))
    with pytest.raises(DnaError, match="failed on the generated simulator"):
        build()
    assert list(cache.iterdir()) == []


def test_unwritable_cache(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(library, "cache_folder", lambda: tmp_path / "file")
    with pytest.raises(DnaError, match="cannot write to"):
        build()
