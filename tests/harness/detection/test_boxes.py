"""Boxes from maps, against a plain reading of the rule, box by box."""

import math

import numpy as np
import pytest

from harness.detection import boxes
from harness.detection.detector import HOST, Detector, host_time
from harness.detection.heads import grids
from sw import artifact
from tests.support.graphs import random_image
from tests.support.tiny import SIDES, THINGS, save_detector

BINS = SIDES // 4


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return artifact.load(save_detector(tmp_path_factory.mktemp("detector") / "d"))


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def plain(maps, grid):
    """Every box of a grid in floats of Python: corners, score, class."""
    found = []
    stride = grid.stride[0]
    sides, logits = maps[grid.sides.name], maps[grid.classes.name]
    for y in range(logits.shape[0]):
        for x in range(logits.shape[1]):
            best = max(range(THINGS), key=lambda c, y=y, x=x: (logits[y, x, c], -c))
            scale, zero = grid.classes.quantization.scale, grid.classes.quantization.zero_point
            score = sigmoid(scale * (int(logits[y, x, best]) - zero))
            distances = []
            for side in range(4):
                scale, zero = grid.sides.quantization.scale, grid.sides.quantization.zero_point
                parts = [
                    math.exp(scale * (int(sides[y, x, BINS * side + bin]) - zero))
                    for bin in range(BINS)
                ]
                distances.append(sum(b * part for b, part in enumerate(parts)) / sum(parts))
            left, top, right, bottom = distances
            corners = (x + 0.5 - left, y + 0.5 - top, x + 0.5 + right, y + 0.5 + bottom)
            found.append([*(stride * each for each in corners), score, best])
    return found


def shared(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    areas = sum((each[2] - each[0]) * (each[3] - each[1]) for each in (a, b))
    return common / (areas - common)


def test_boxes_are_those_of_the_rule(network):
    detector = Detector(network, THINGS)
    image = random_image(np.random.default_rng(4), network.graph)
    found = detector(image[np.newaxis])
    maps = detector._whole.outputs(image)
    every = [box for grid in grids(network, THINGS) for box in plain(maps, grid)]
    every.sort(key=lambda box: -box[4])
    kept = []
    for box in every:
        if all(box[5] != other[5] or shared(box, other) <= boxes.MOST_SHARED for other in kept):
            kept.append(box)
    assert len(every) == 84 and 10 < len(kept) < 84
    np.testing.assert_allclose(found, np.array(kept), rtol=1e-4, atol=1e-3)
    assert detector.host_seconds > 0


def test_places_that_are_not_sure_enough_have_no_box(network):
    grid = grids(network, THINGS)[0]
    scale, zero = grid.classes.quantization.scale, grid.classes.quantization.zero_point
    assert sigmoid(scale * (-128 - zero)) > boxes.LEAST_SCORE  # so it takes another scale
    low = type(grid.classes)(
        grid.classes.name,
        0,
        THINGS,
        type(grid.classes.quantization)(0.1, 100, grid.classes.quantization.shape),
    )
    maps = {
        grid.sides.name: np.zeros((8, 8, SIDES), np.int8),
        grid.classes.name: np.full((8, 8, THINGS), -128, np.int8),
    }
    maps[grid.classes.name][2, 3, 7] = 90
    (found,) = boxes.boxes(maps, [type(grid)(grid.stride, grid.sides, low)])
    assert found[5] == 7
    assert found[4] == pytest.approx(sigmoid(-1.0))
    middle = (found[:2] + found[2:4]) / 2
    assert middle.tolist() == pytest.approx([8 * 3.5, 8 * 2.5], abs=1e-4)


def test_of_many_the_likeliest_stay():
    """At most 300, and of one thing the best."""
    rng = np.random.default_rng(5)
    corners = rng.uniform(0, 5000, (2000, 2))
    many = np.column_stack((corners, corners + 20, rng.random(2000), np.zeros(2000)))
    kept = boxes.suppressed(many.astype(np.float32))
    assert len(kept) == boxes.MOST_BOXES
    assert (np.diff(kept[:, 4]) <= 0).all()
    pair = np.array([[0, 0, 10, 10, 0.5, 1], [0, 0, 10, 9, 0.6, 1], [0, 0, 10, 9, 0.4, 2]])
    kept = boxes.suppressed(pair.astype(np.float32))
    assert kept[:, 5].tolist() == [1, 2]
    assert kept[0, 4] == np.float32(0.6)
    assert boxes.suppressed(np.empty((0, 6), np.float32)).shape == (0, 6)


def test_the_time_of_the_host_is_measured(network):
    image = random_image(np.random.default_rng(4), network.graph)
    took = host_time(network, THINGS, image, runs=3)
    assert (took.runs, took.parts) == (3, [HOST])
    assert 0 < took.ms < 1000
