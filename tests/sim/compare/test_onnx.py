import numpy as np
import pytest

from sim.compare.onnx import OnnxMeasurer, by_kind
from sw.frontends.onnx import import_file
from tests.support.onnx_models import FORMS, save_quantized


@pytest.mark.parametrize("flatten_map", [False, True])
@pytest.mark.parametrize(("form", "kind"), FORMS)
def test_convolutions_are_the_contracts_and_additions_nearly(tmp_path, form, kind, flatten_map):
    path = save_quantized(tmp_path, form, kind, flatten_map=flatten_map)
    imported = import_file(path)
    rng = np.random.default_rng(0)
    images = [rng.integers(-128, 128, (17, 14, 3)).astype(np.int8) for _ in range(3)]
    measured = OnnxMeasurer(path, imported).measure(images)
    assert [row.operation for row in measured] == [op.name for op in imported.graph.operations]
    kinds = {row.kind: row for row in by_kind(measured)}
    for name in ("Conv2D", "MaxPool2D", "FullyConnected"):
        assert kinds[name].values > 0
        assert kinds[name].differing == 0
    for row in kinds.values():
        assert row.largest <= 1
        assert row.differing <= 0.01 * row.values


def test_a_wrong_weight_is_counted_where_it_is(tmp_path):
    path = save_quantized(tmp_path, "QDQ", "QInt8")
    imported = import_file(path)
    convolution = imported.graph.operations[0]
    name = f"{convolution.name}.bias"
    imported.graph.constants[name] = imported.graph.constants[name] + np.int32(10_000)
    image = np.zeros((17, 14, 3), np.int8)
    measured = OnnxMeasurer(path, imported).measure([image])
    assert measured[0].differing > 0
    assert measured[0].largest > 1
    assert not any(row.differing for row in measured[1:] if row.kind != "Add")
