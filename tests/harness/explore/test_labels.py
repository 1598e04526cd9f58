import numpy as np
import pytest

from harness.explore.labels import Box, Place, placed

INSIDE = Box(84, 84, 616, 524)
RADIUS, HEIGHT, WIDTH = 5, 16, 24


def boxes(labels):
    return [Box(x - WIDTH / 2, y - HEIGHT / 2, x + WIDTH / 2, y + HEIGHT / 2) for x, y, _ in labels]


def place_all(points, dots=()):
    return placed(
        points,
        [WIDTH] * len(points),
        dots=[*points, *dots],
        radius=RADIUS,
        height=HEIGHT,
        inside=INSIDE,
    )


def front(seed, count, spread):
    """Points of a front: down as they go right, clustered, and others above and right of it."""
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(110, 110 + 480 * spread, count))
    y = np.sort(rng.uniform(110, 110 + 390 * spread, count))
    points = [Place(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    dots = [Place(min(a + 20, 600), max(b - 30, 100)) for a, b in points[::3]]
    return points, dots


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("count", "spread"), [(1, 1.0), (8, 0.3), (20, 1.0), (30, 1.0)])
def test_no_label_touches_another_or_a_dot_or_leaves_the_plot(seed, count, spread):
    points, dots = front(seed, count, spread)
    found = boxes(place_all(points, dots))
    marks = [Box(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in [*points, *dots]]
    for number, box in enumerate(found):
        assert INSIDE.holds(box)
        assert not any(box.meets(other) for other in found[:number])
        assert not any(box.meets(mark) for mark in marks)


def test_a_label_is_near_its_point_and_a_far_one_says_so():
    (alone,) = place_all([Place(300, 300)])
    assert not alone.far
    crowd = [Place(300 + 2 * n, 300 + 2 * n) for n in range(12)]
    labels = place_all(crowd)
    assert any(label.far for label in labels)
    for point, label in zip(crowd, labels, strict=True):
        distance = np.hypot(label.x - point.x, label.y - point.y)
        assert label.far is bool(distance > 15.01)
        assert distance <= 90.1


def test_a_plot_without_room_still_has_every_label_inside():
    points = [Place(100 + n % 7, 100 + n % 5) for n in range(300)]
    labels = place_all(points)
    assert len(labels) == 300
    assert all(INSIDE.holds(box) for box in boxes(labels))
