import math

import pytest

from harness.report.scales import Scale, around


@pytest.mark.parametrize("ends", [(1, 1), (2, 1), (math.nan, 1)])
@pytest.mark.parametrize("log", [False, True])
def test_ends_that_make_no_scale(ends, log):
    with pytest.raises(ValueError, match=f"no scale from {ends[0]} to {ends[1]}"):
        Scale(*ends, log=log)


def test_a_logarithmic_scale_has_no_zero():
    with pytest.raises(ValueError, match="no scale from 0 to 1"):
        Scale(0, 1, log=True)


def test_places():
    linear, log = Scale(10, 30, log=False), Scale(1, 100, log=True)
    assert [linear(value) for value in (10, 15, 30, 40)] == [0, 0.25, 1, 1.5]
    assert [log(value) for value in (1, 10, 100)] == pytest.approx([0, 0.5, 1])


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Scale(0, 10, log=False), [0, 2, 4, 6, 8, 10]),
        (Scale(0.3, 1.1, log=False), [0.4, 0.6, 0.8, 1.0]),
        (Scale(0.5, 2e3, log=True), [1, 10, 100, 1000]),
        (Scale(3, 60, log=True), [5, 10, 20, 50]),
        (Scale(5.5, 8.7, log=True), [6, 7, 8]),
        (Scale(0.8, 1.25, log=True), [0.8, 0.9, 1.0, 1.1, 1.2]),
    ],
)
def test_ticks_are_round_and_inside(scale, ticks):
    assert scale.ticks() == pytest.approx(ticks)


def test_a_scale_around_values_shows_them_all():
    for log in (False, True):
        scale = around([4, 9, 7], log=log)
        assert all(0 < scale(value) < 1 for value in (4, 9, 7))
    assert around([4.0], log=True)(4) == pytest.approx(0.5)
