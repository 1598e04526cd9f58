import math

import pytest

from harness.data.guessing import chance, remark


@pytest.mark.parametrize(
    ("right", "total", "classes"), [(0, 20, 10), (1, 5, 3), (4, 20, 10), (20, 20, 2), (5, 9, 1)]
)
def test_chance_is_the_binomial_tail(right, total, classes):
    p = 1 / classes
    tail = sum(math.comb(total, k) * p**k * (1 - p) ** (total - k) for k in range(right, total + 1))
    assert chance(right, total, classes) == pytest.approx(tail, abs=1e-12)


def test_large_numbers():
    assert chance(38_000, 50_000, 1000) == 0
    assert chance(50, 50_000, 1000) == pytest.approx(0.518, abs=0.01)


def test_what_guessing_has_is_said():
    assert "0 of 20 right is no better than guessing among 1000 classes" in remark(0, 20, 1000)
    assert remark(17, 20, 1000) is None
    assert remark(11, 20, 2) is not None
    assert remark(18, 20, 2) is None
    assert remark(0, 1, 1000) is None
