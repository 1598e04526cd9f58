import pytest

from harness.host.between import DRIVER_ACCESSES, between_images
from tests.support.report_runs import compiled


def test_the_parts_add_up():
    program = compiled()
    found = between_images(program, 2.0, access_ns=1000, copy_gb_per_s=0.001)
    size = program.memory.input.region.length
    assert found.copy_bytes == size and not found.copy_measured
    expected = DRIVER_ACCESSES * 1e-3 + size / 1e3 + found.softmax_ms
    assert found.ms == pytest.approx(expected)
    assert found.latency_ms == pytest.approx(2.0 + expected)
    assert f"{DRIVER_ACCESSES} register accesses of 1000 ns" in str(found)
    assert "as given" in str(found)


def test_what_nobody_says_is_measured():
    found = between_images(compiled(), 2.0, access_ns=200, copy_gb_per_s=None)
    assert found.copy_measured and found.copy_gb_per_s > 0 < found.softmax_ms
    assert "as measured here" in str(found)
