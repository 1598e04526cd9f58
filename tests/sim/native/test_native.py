"""C++ sources are compiled once, and again when anything that makes them up changes."""

import platformdirs
import pytest

from sim import native
from sw.errors import DnaError

FLAGS = ("-O1",)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda _: str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path):
    (tmp_path / "number.h").write_text("#define HALF 20\n")
    path = tmp_path / "answer.cc"
    path.write_text('#include "number.h"\nextern "C" int answer() { return 2 * HALF + MORE; }\n')
    return path


def build(source, prelude="#define MORE 2\n"):
    return native.library(source, FLAGS, headers=[source.with_name("number.h")], prelude=prelude)


def test_it_runs_and_is_made_once(source, monkeypatch):
    path = build(source)
    assert native.load(path).answer() == 42
    monkeypatch.setattr(native.children, "run", None)
    assert build(source) == path


def test_what_changes_is_made_again(source):
    first = build(source)
    second = build(source, "#define MORE 3\n")
    source.with_name("number.h").write_text("#define HALF 21\n")
    third = build(source)
    assert len({first, second, third}) == 3
    assert native.load(second).answer() == 43
    assert native.load(third).answer() == 44


def test_errors_say_what_is_wrong(source, cache, monkeypatch):
    with pytest.raises(DnaError, match=r"cannot compile .*answer\.cc: .*MORE"):
        build(source, "")
    assert not list(cache.rglob("*.so"))
    monkeypatch.setattr(native, "COMPILER", "no-such-compiler")
    with pytest.raises(DnaError, match="install no-such-compiler"):
        build(source)


def test_a_cache_that_cannot_be_written_is_named(source, cache):
    cache.write_text("a file")
    with pytest.raises(DnaError, match=r"cannot write to .*cache"):
        build(source)
