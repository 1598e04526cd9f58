import os

from harness.host import computer


def test_a_system_without_affinity_counts_all_processors(monkeypatch):
    """As macOS: ``os.sched_getaffinity`` is not there."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert computer.cpus() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert computer.cpus() == 1


def test_only_the_processors_that_this_process_may_use_count(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5}, raising=False)
    assert computer.cpus() == 3
