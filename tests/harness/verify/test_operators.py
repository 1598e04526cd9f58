import numpy as np
import pytest

from harness.verify import operators
from sim.compare.engines import total
from sim.functional.flatbuffer import emit
from sw.errors import DnaError
from tests.support.graphs import random_small_graph
from tests.support.tiny import save_artifact


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    graph = random_small_graph(np.random.default_rng(1), (24, 24, 3))
    path = tmp_path_factory.mktemp("model") / "small.tflite"
    path.write_bytes(emit(graph))
    return path


def test_a_tflite_file_runs_on_random_inputs_unasked(file):
    model = operators.read(file)
    images = operators.inputs(model, (), None)
    assert [image.shape for image in images] == [(24, 24, 3)] * operators.RANDOM_INPUTS
    rows = total(list(operators.compare(model, images[:2], 2, lambda count: None)))
    assert {row.operation for row in rows} == set(model.origins)
    assert sum(row.values for row in rows) > 0
    assert not any(row.mismatches for row in rows)


def test_an_artifact_has_the_operators_of_its_graph(tmp_path):
    model = operators.read(save_artifact(tmp_path / "tiny", side=24))
    assert list(model.origins) == [operation.name for operation in model.graph.operations]
    operation = model.graph.operations[0]
    source, target = (model.graph.tensors[name] for name in (operation.inputs[0], operation.output))
    told = model.quantization(operation.name)
    assert told.startswith(f"({source.scale!r}, {source.zero_point})")
    assert told.endswith(f" to ({target.scale!r}, {target.zero_point})")


def test_files_and_random_inputs_exclude_each_other(file):
    model = operators.read(file)
    assert len(operators.inputs(model, (), 2)) == 2
    with pytest.raises(DnaError, match="exclude each other"):
        operators.inputs(model, (file,), 2)
