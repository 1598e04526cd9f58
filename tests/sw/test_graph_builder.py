import dataclasses

import numpy as np
import pytest

from sw.errors import DnaError
from sw.graph_builder import GraphBuilder, Output, Window
from sw.operations import Padding
from tests.support.graphs import ones


def builder():
    return GraphBuilder("image", (9, 8, 3), 0.5, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": np.ones((4, 3, 3, 2), np.int8)}, r"do not fit 3 input channels"),
        ({"values": np.ones((4, 27), np.int8)}, r"do not fit 3 input channels"),
        ({"values": np.ones((4, 3, 3, 3), np.int16)}, r"weights must be int8 \[4, 3, 3, 3\]"),
        ({"values": np.ones((4, 11, 3, 3), np.int8)}, r"kernel of 11 does not fit .* of 9"),
        ({"bias": np.zeros(4, np.int64)}, r"bias must be int32 \[4\], not int64"),
        ({"bias": np.zeros(5, np.int32)}, r"bias must be int32 \[4\], not int32 \[5\]"),
        ({"scale": np.zeros(4, np.float32)}, r"scale 0\.0 is not a positive normal"),
        ({"scale": np.full(4, np.inf, np.float32)}, r"scale inf is not"),
        ({"scale": 0.0}, r"scale 0\.0 is not a positive normal"),
        ({"scale": float("nan")}, r"scale nan is not a positive normal"),
        ({"zero_point": 128}, r"zero point 128 is not in -128\.\.127"),
        ({"window": Window((3, 2))}, r"a window of \(3, 2\) on weights for \(3, 3\)"),
        ({"window": Window((3, 3), padding=Padding(0, -1, 0, 0))}, "is less than nothing"),
        ({"window": Window((3, 3), (0, 1))}, r"stride \(0, 1\) must be at least 1"),
    ],
)
def test_what_the_contract_does_not_allow_is_named(changes, message):
    weights, output, window = ones(4, 3, 3, 3), Output(0.5, 0), changes.pop("window", None)
    if changes.keys() & {"zero_point"} or type(changes.get("scale")) is float:
        output = dataclasses.replace(output, **changes)
    else:
        weights = dataclasses.replace(weights, **changes)
    with pytest.raises(DnaError, match=f"^conv7.*{message}"):
        builder().conv2d("conv7", "image", weights, output, window)


def test_operations_that_do_not_fit_together():
    b = builder()
    out = Output(0.5, 0)
    x = b.conv2d("conv", "image", ones(4, 3, 3, 3), out)
    for call, message in [
        (lambda: b.conv2d("conv", "image", ones(4, 3, 3, 3), out), "two operations are"),
        (lambda: b.add("sum", "image", x, out), r"cannot join shapes \(9, 8, 3\) and \(7, 6, 4\)"),
        (lambda: b.add("sum", x, x, Output(1e-6, 0)), "ratio of input to output scale"),
        (lambda: b.mean("mean", "nothing", out), "'nothing' is read before it is written"),
        (lambda: b.mean("mean", x, Output(0.5, 0, "relu")), "a mean takes no activation"),
        (lambda: b.fully_connected("fc", x, ones(4, 4), out), r"do not fit an input of"),
    ]:
        with pytest.raises(DnaError, match=message):
            call()
    m = b.mean("mean", x, out)
    with pytest.raises(DnaError, match=r"'mean' has shape \(4,\), not \(height"):
        b.max_pool2d("pool", m, Window((1, 1)))
