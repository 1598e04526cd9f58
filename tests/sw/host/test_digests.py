import types

from sw.host import digests


def test_digest_changes_with_names_and_contents(tmp_path):
    package = types.ModuleType("package")
    package.__path__ = [str(tmp_path)]
    seen = []
    for name, text in (("a.py", "1"), ("a.py", "2"), ("b.py", "2")):
        for path in tmp_path.iterdir():
            path.unlink()
        (tmp_path / name).write_text(text)
        (tmp_path / "c.txt").write_text(text)
        seen.append(digests.of_sources((package, "*.py")))
    assert len(set(seen)) == 3
    (tmp_path / "c.txt").write_text("another")
    assert digests.of_sources((package, "*.py")) == seen[-1]
