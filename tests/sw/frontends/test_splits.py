import numpy as np
import pytest

from sim.compare.tflite import TfliteComparer
from sw.errors import DnaError
from sw.frontends.tflite import import_model, read
from sw.frontends.tflite.file.splits import without_splits
from tests.support.tflite_models import CODE, Maker


def halves(axis):
    net = Maker(np.random.default_rng(2))
    x = net.conv(net.input((1, 6, 4, 3)), 8, (1, 1))
    return net, net.split(x, axis, 2)


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_parts_are_those_of_litert(axis):
    net, parts = halves(axis)
    content = net.finish(net.add(*parts))
    model = read(content, "model")
    assert [each.code for each in model.operators] == ["CONV_2D", "SLICE", "SLICE", "ADD"]
    compared = TfliteComparer(content, model, import_model(model))
    image = np.random.default_rng(0).integers(-128, 128, (6, 4, 3)).astype(np.int8)
    assert sum(row.mismatches for row in compared.image(image)) == 0


def test_a_file_without_is_the_same_bytes():
    net = Maker(np.random.default_rng(2))
    content = net.finish(net.conv(net.input((1, 6, 4, 3)), 8, (1, 1)))
    assert without_splits(content) is content
    assert without_splits(b"none") == b"none"


def test_what_is_no_plain_one_stays_and_is_refused():
    net, parts = halves(3)
    net.operators[-1].builtinOptions.numSplits = 3
    content = net.finish(net.add(*parts))
    split = net.codes[CODE.SPLIT]
    assert [each.opcodeIndex for each in net.operators].count(split) == 1
    with pytest.raises(DnaError, match=r"operator 1 \(SPLIT\): 2 outputs"):
        import_model(read(content, "model"))
