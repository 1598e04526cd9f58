import pytest

from harness.hardware.timing import cache


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Nothing is found that was kept before, and nothing is left."""
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "timing")
