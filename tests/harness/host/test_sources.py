import types

import pytest

from harness.host import sources
from sw.errors import DnaError


def test_digest_changes_with_names_and_contents(tmp_path):
    package = types.ModuleType("package")
    package.__path__ = [str(tmp_path)]
    seen = []
    for name, text in (("a.py", "1"), ("a.py", "2"), ("b.py", "2")):
        for path in tmp_path.iterdir():
            path.unlink()
        (tmp_path / name).write_text(text)
        (tmp_path / "c.txt").write_text(text)
        seen.append(sources.digest((package, "*.py")))
    assert len(set(seen)) == 3
    (tmp_path / "c.txt").write_text("another")
    assert sources.digest((package, "*.py")) == seen[-1]


def test_other_sources_are_refused():
    sources.check_same("a", "a")
    with pytest.raises(DnaError, match="other sources of open-dna"):
        sources.check_same("a", "b")
