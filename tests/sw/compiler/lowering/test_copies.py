"""Concatenations, slices and resizes: which words are copied, and what is refused."""

import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import Opcode, read_program
from sw.compiler.layers import Convolution, Part
from tests.support.programs import check_program, noise
from tests.sw.compiler.lowering.test_lowering import Net

NANO = PRESETS["nano"]


def program(net, output):
    graph = net.builder.finish(output)
    return check_program(graph, NANO, noise(np.random.default_rng(1), graph))


def test_the_last_part_may_end_within_a_word():
    net = Net()
    parts = [net.conv(name, "input", count) for name, count in (("a", 8), ("b", 4), ("c", 3))]
    joint = net.builder.concatenate("join", parts)
    layer = net.lower(joint)[-1]
    assert [(part.at, part.words) for part in layer.parts] == [(0, 2), (2, 1), (3, 1)]
    copies = [op for op in read_program(program(net, joint).code) if op.opcode is Opcode.MAX_POOL]
    assert {(op["in_words"], op["in_step"], op["out_step"]) for op in copies} == {
        (2, 2, 4),
        (1, 1, 4),
    }


def test_a_part_may_be_there_twice():
    net = Net()
    x = net.conv("a", "input", 4)
    (_, layer) = net.lower(net.builder.concatenate("join", [x, x]))
    assert layer.operands == (layer.source,)
    program(net, "join")


def test_a_slice_takes_the_words_that_it_touches():
    net = Net()
    (_, layer) = net.lower(net.builder.slice_channels("part", net.conv("a", "input", 13), 4, 5))
    assert layer.parts == (Part(layer.source, 1, 2, 0),)
    program(net, "part")


@pytest.mark.parametrize("factor", [(1, 1), (2, 3), (3, 1)])
def test_a_resize_is_a_copy_for_each_place_of_a_pixel(factor):
    net = Net()
    resized = net.builder.resize_nearest("resize", net.conv("a", "input", 5), factor)
    (_, layer) = net.lower(resized)
    assert layer.repeat == factor and layer.target.height == factor[0] * layer.source.height
    code = read_program(program(net, resized).code)
    per_stripe = sum(op.opcode is Opcode.MAX_POOL for op in code)
    assert per_stripe % (factor[0] * factor[1]) == 0


def test_other_parts_are_put_together_by_words_in_front_of_a_convolution():
    net = Net()
    a, b = net.conv("a", "input", 3), net.conv("b", "input", 6)
    joint = net.builder.concatenate("join", [a, b, a])
    layer = net.lower(joint)[-1]
    assert isinstance(layer, Convolution) and layer.source.words == 4
    assert [(part.at, part.words) for part in layer.gather] == [(0, 1), (1, 2), (3, 1)]
    assert np.flatnonzero(layer.weights[3]).tolist() == [4]
    program(net, joint)


def test_a_slice_that_begins_within_a_word_is_a_convolution():
    net = Net()
    part = net.builder.slice_channels("part", net.conv("a", "input", 9), 2, 3)
    layer = net.lower(part)[-1]
    assert isinstance(layer, Convolution) and layer.weights.shape == (3, 1, 1, 9)
    program(net, part)
