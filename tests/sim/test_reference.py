"""The reference against rational arithmetic and against loops over Python integers."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import reference
from sim.reference import ReferenceModel
from sw import numerics
from sw.graph_builder import GraphBuilder, Output, Weights
from sw.operations import Add, Mean, Padding
from tests.support.graphs import random_image, random_small_graph

INT32 = st.integers(-(2**31), 2**31 - 1)


def to_f32(value: Fraction) -> Fraction:
    """Round to a float32 with 24 significant bits, ties to even (no overflow, no subnormals)."""
    if value == 0:
        return value
    exponent = 0
    while abs(value) >= Fraction(2) ** (exponent + 24):
        exponent += 1
    while abs(value) < Fraction(2) ** (exponent + 23):
        exponent -= 1
    unit = Fraction(2) ** exponent
    return round(value / unit) * unit  # Python rounds a Fraction half to even


def exact_requantize(acc: int, multiplier: float, zero_point: int, lo: int, hi: int) -> int:
    product = to_f32(to_f32(Fraction(acc)) * Fraction(multiplier))
    return min(max(round(product) + zero_point, lo), hi)


@given(
    acc=st.one_of(INT32, st.integers(2**24 - 3, 2**24 + 9), st.integers(-300, 300)),
    multiplier=st.one_of(
        st.floats(2**-20, 255.0, width=32), st.sampled_from([0.5, 0.25, 2**-17, 1.0])
    ),
    zero_point=st.integers(-128, 127),
    bounds=st.tuples(st.integers(-128, 127), st.integers(-128, 127)).map(sorted),
)
def test_requantize_is_two_roundings_and_a_clamp(acc, multiplier, zero_point, bounds):
    lo, hi = bounds
    got = reference.requantize(np.int32(acc), np.float32(multiplier), zero_point, lo, hi)
    assert got.dtype == np.int8 and got.shape == ()
    assert got == exact_requantize(acc, multiplier, zero_point, lo, hi)


@pytest.mark.parametrize(
    ("acc", "multiplier", "expected"),
    [
        (1, 0.5, 0),  # ties to even, not away from zero
        (3, 0.5, 2),
        (-1, 0.5, 0),
        (-3, 0.5, -2),
        (5, 0.5, 2),
        (2**24 + 1, 2.0**-19, 32),  # int32 to f32: to 2^24
        (2**24 + 3, 2.0**-18, 64),
        (2**31 - 1, 255.0, 127),
        (-(2**31), 255.0, -128),
    ],
)
def test_requantize_corners(acc, multiplier, expected):
    assert reference.requantize(np.int32(acc), multiplier, 0, -128, 127) == expected


def test_conversion_of_the_accumulator_rounds():
    # 2^24 + 1 is not a float32: it becomes 2^24, and what was just above a half becomes a tie.
    acc, multiplier = 2**24 + 1, np.float32(2**-25)
    assert reference.requantize(np.int32(acc), multiplier, 0, -128, 127) == 0
    assert round(Fraction(acc) * Fraction(float(multiplier))) == 1


def test_multipliers_are_per_channel():
    acc = np.full((2, 3), 100, np.int32)
    got = reference.requantize(acc, np.array([0.1, 0.2, 0.3], np.float32), 1, -128, 127)
    assert got.tolist() == [[11, 21, 31]] * 2


def test_accumulators_wrap():
    x, weights = np.full((1, 1, 4), 127, np.int8), np.full((1, 1, 1, 4), 127, np.int8)
    bias = np.array([2**31 - 1], np.int32)
    got = reference.convolution_accumulators(x, weights, bias, 0, (1, 1), Padding())
    assert got.dtype == np.int32 and got.item() == -(2**31) - 1 + 4 * 127 * 127
    flat = reference.fully_connected_accumulators(x, weights.reshape(1, 4), bias, 0)
    assert flat.item() == got.item()


@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
@pytest.mark.parametrize("padding", [Padding(), Padding(0, 2, 1, 0)])
def test_convolution_is_the_sum_over_the_window(stride, padding):
    rng = np.random.default_rng(3)
    x = rng.integers(-128, 128, (6, 7, 3), dtype=np.int8)
    weights = rng.integers(-128, 128, (2, 3, 2, 3), dtype=np.int8)
    bias = rng.integers(-(2**31), 2**31, 2, dtype=np.int32)
    zero_point = -7
    got = reference.convolution_accumulators(x, weights, bias, zero_point, stride, padding)
    for y, u, c in np.ndindex(got.shape):
        total = int(bias[c])
        for i, j, k in np.ndindex(3, 2, 3):
            row, column = y * stride[0] + i - padding.top, u * stride[1] + j - padding.left
            if 0 <= row < 6 and 0 <= column < 7:
                total += (int(x[row, column, k]) - zero_point) * int(weights[c, i, j, k])
        assert got[y, u, c] == (total + 2**31) % 2**32 - 2**31
    assert got.shape[0] == (6 + padding.top + padding.bottom - 3) // stride[0] + 1


@given(
    a=st.integers(-128, 127),
    b=st.integers(-128, 127),
    zero_points=st.tuples(*[st.integers(-128, 127)] * 3),
    ratios=st.tuples(*[st.floats(2**-10, 255.0, width=32)] * 2),
)
def test_add_is_fixed_point_with_halves_up(a, b, zero_points, ratios):
    multipliers, shift = numerics.add_parameters(*ratios, 1.0, "test")
    got = reference.add(
        np.int8(a),
        np.int8(b),
        zero_point_a=zero_points[0],
        zero_point_b=zero_points[1],
        multipliers=multipliers,
        shift=shift,
        zero_point=zero_points[2],
        lo=-128,
        hi=127,
    )
    real = Fraction(
        multipliers[0] * (a - zero_points[0]) + multipliers[1] * (b - zero_points[1]), 1 << shift
    )
    floor = (real + Fraction(1, 2)).numerator // (real + Fraction(1, 2)).denominator
    assert got == min(max(floor + zero_points[2], -128), 127)
    assert max(multipliers) <= 2**21 and min(multipliers) > 0


def test_max_pool_padding_never_wins():
    x = np.full((2, 2, 1), -128, np.int8)
    x[1, 1] = -100
    got = reference.max_pool2d(x, (3, 3), (2, 2), Padding(1, 1, 1, 1))
    assert got.tolist() == [[[-100]]]
    apart = reference.max_pool2d(x, (1, 1), (1, 1), Padding(1, 0, 0, 0))
    assert apart.ravel().tolist() == [-128, -128, -128, -128, -128, -100]


@given(
    values=st.lists(st.integers(-128, 127), min_size=4, max_size=4),
    scales=st.tuples(*[st.floats(2**-7, 2.0, width=32)] * 2),
    zero_points=st.tuples(*[st.integers(-128, 127)] * 2),
)
def test_mean_rounds_after_each_operation(values, scales, zero_points):
    multiplier, offset = numerics.mean_parameters(
        scales[0], zero_points[0], scales[1], zero_points[1], 4, "test"
    )
    x = np.array(values, np.int8).reshape(2, 2, 1)
    got = reference.mean(x, float(multiplier), float(offset))
    product = to_f32(to_f32(Fraction(sum(values))) * Fraction(float(multiplier)))
    real = to_f32(product + Fraction(float(offset)))
    assert got.tolist() == [min(max(round(real), -128), 127)]


def test_the_model_reads_only_stored_parameters():
    rng = np.random.default_rng(0)
    graph = random_small_graph(rng)
    image = random_image(rng, graph)
    before = ReferenceModel(graph).run_all(image)
    for name, tensor in graph.tensors.items():
        graph.tensors[name] = type(tensor)(name, tensor.shape, 123.0, tensor.zero_point)
    after = ReferenceModel(graph).run_all(image)
    assert before.keys() == after.keys() == graph.tensors.keys()
    assert all((before[name] == after[name]).all() for name in before)


def test_run_is_run_all_of_each_image():
    rng = np.random.default_rng(1)
    graph = random_small_graph(rng)
    model = ReferenceModel(graph)
    batch = np.stack([random_image(rng, graph) for _ in range(3)])
    expected = [model.run_all(image)[graph.output] for image in batch]
    assert (model.run(batch) == expected).all()
    assert model.run(batch[:0]).shape == (0, 10)


def test_every_operation_appears_in_the_small_graph():
    graph = random_small_graph(np.random.default_rng(0))
    kinds = {type(operation) for operation in graph.operations}
    assert {Add, Mean} < kinds and len(kinds) == 5


def test_relu_clamps_at_the_zero_point():
    builder = GraphBuilder("x", (1, 1, 1), 1.0, 0)
    weights = Weights(np.ones((1, 1, 1, 1), np.int8), np.zeros(1, np.int32), np.ones(1, np.float32))
    builder.conv2d("y", "x", weights, Output(1.0, -20, "relu"))
    model = ReferenceModel(builder.finish("y"))
    assert model.run(np.array([[[[-50]]], [[[50]]]], np.int8)).ravel().tolist() == [-20, 30]
