"""Every row of the table in every frontend: taken, computed right, gone when the row is gone."""

import importlib.util

import numpy as np
import pytest

from harness import operator_manual
from sim.compare.engines import Comparer
from sim.reference import ReferenceModel
from sw.errors import DnaError
from sw.frontends import tflite
from sw.operations import AveragePool2D, DepthwiseConv2D
from sw.operators import FRONTENDS, table
from tests import skips
from tests.support import onnx_models, tflite_models, tflite_random
from tests.support.programs import noise, random_layer, random_network
from tests.sweeps.import_sweep import compared

ROWS = [row.name for row in table.TABLE]
SPELLED = [
    (frontend, row.name)
    for row in table.TABLE
    for frontend in FRONTENDS
    if row.spelling[frontend].names and (frontend, row.name) != ("onnx", "shape arithmetic")
]
OTHERWISE = {("onnx", "average-pool"): DepthwiseConv2D}
"""Where a frontend makes another operation of a row's example."""


@pytest.fixture(scope="module")
def onnx_files(tmp_path_factory):
    """Of each row: quantized files of both forms."""
    folder = tmp_path_factory.mktemp("onnx")
    made = {}

    def files(name):
        if name not in made:
            made[name] = [
                onnx_models.save_example(folder, name, form)
                for form in ("QDQ", "QOperator")
                if form == "QDQ" or name not in onnx_models.FLOAT_ALONE
            ]
        return made[name]

    return files


@pytest.fixture
def examples(onnx_files):
    """Functions that import the examples of a row, one for each file or network."""

    def of(frontend, name):
        if frontend == "tflite":
            content = tflite_models.EXAMPLES[name]()
            return [lambda: tflite.import_model(tflite.read(content, "model")).graph]
        if frontend == "onnx":
            from sw.frontends import onnx

            files = [path for path in onnx_files(name) if has_it(path, name)]
            return [lambda p=path: onnx.import_file(p).graph for path in files]
        assert frontend == "pytorch", f"how is an example of {frontend} read?"
        return [lambda: torch_network(name)[1]]

    return of


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Networks as small gain nothing from threads, which wait for each other on a busy machine."""
    if importlib.util.find_spec("torch") is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def has_it(path, name):
    """Whether a file has the operator still: a quantizer drops a Clip that changes nothing."""
    import onnx

    (row,) = (row for row in table.TABLE if row.name == name)
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    return any(spelling.split(" ")[0] in kinds for spelling in row.spelling["onnx"].names)


def torch_network(name):
    pytest.importorskip("torch", reason=skips.not_installed("quantize"))
    from sw.frontends.pytorch import quantize
    from tests.support import torch_models

    model = torch_models.with_random_weights(torch_models.EXAMPLES[name]())
    return model, quantize(model, torch_models.images(count=24))


@pytest.mark.parametrize(("frontend", "name"), [it for it in SPELLED if it[0] != "pytorch"])
def test_every_frontend_takes_every_row(frontend, name, examples):
    row = next(row for row in table.TABLE if row.name == name)
    wanted = OTHERWISE.get((frontend, name), row.operation)
    for load in examples(frontend, name):
        kinds = {type(operation) for operation in load().operations}
        assert wanted is None or wanted in kinds


@pytest.mark.parametrize("name", ROWS)
def test_tflite_examples_have_litert_s_bits(name):
    _, values, mismatches = compared(tflite_models.EXAMPLES[name](), np.random.default_rng(0))
    assert values > 0
    assert mismatches == 0


@pytest.mark.parametrize("name", [name for frontend, name in SPELLED if frontend == "onnx"])
def test_onnx_examples_have_onnx_runtime_s_values(name, onnx_files):
    from sim.compare.onnx import OnnxMeasurer
    from sw.frontends.onnx import import_file

    for path in onnx_files(name):
        imported = import_file(path)
        rng = np.random.default_rng(0)
        images = [noise(rng, imported.graph) for _ in range(3)]
        for found in OnnxMeasurer(path, imported).measure(images):
            exact = found.kind in ("Conv2D", "MaxPool2D", "FullyConnected")
            assert found.differing <= (0 if exact else 0.03 * found.values)
            assert found.largest <= 1


@pytest.mark.parametrize("name", [name for frontend, name in SPELLED if frontend == "pytorch"])
def test_pytorch_examples_compute_what_the_network_does(name):
    torch = pytest.importorskip("torch", reason=skips.not_installed("quantize"))
    from tests.support import torch_models

    model, graph = torch_network(name)
    images = np.stack(torch_models.images())
    with torch.inference_mode():
        batch = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        expected = (model.fc(model.run(batch)) if name == "softmax" else model(batch)).numpy()
    source, target = graph.tensors[graph.input], graph.tensors[graph.output]
    quantized = np.clip(np.rint(images / source.scale) + source.zero_point, -128, 127)
    quantized = quantized.astype(np.int8)
    got = ReferenceModel(graph).run(quantized).astype(np.float64)
    error = (got - target.zero_point) * target.scale - expected
    assert np.sqrt((error**2).mean()) < 0.05 * expected.std()
    row = next(row for row in table.TABLE if row.name == name)
    assert row.operation in {None, *(type(operation) for operation in graph.operations)}
    for comparison in Comparer(graph).image(quantized[0]):
        assert comparison.mismatches == 0


def test_a_pool_over_padding_that_counts_is_a_convolution_of_ones():
    pytest.importorskip("torch", reason=skips.not_installed("quantize"))
    from torch import nn

    from sw.frontends.pytorch import quantize
    from tests.support import torch_models

    model = torch_models.Around(nn.AvgPool2d(3, 1, 1), nn.ReLU())
    graph = quantize(torch_models.with_random_weights(model), torch_models.images())
    pool = next(op for op in graph.operations if isinstance(op, DepthwiseConv2D))
    assert (graph.constant(pool, "weight_scale") == np.float32(1 / 9)).all()
    assert pool.activation == "relu"


@pytest.mark.parametrize("name", ROWS)
class TestARowThatIsRemoved:
    @pytest.fixture
    def without(self, name, monkeypatch):
        """Takes the row ``name`` out of the table; the row."""

        def remove():
            kept = tuple(row for row in table.TABLE if row.name != name)
            (row,) = (row for row in table.TABLE if row.name == name)
            monkeypatch.setattr(table, "TABLE", kept)
            return row

        return remove

    def test_vanishes_from_the_frontends(self, name, without, examples):
        loads = {
            frontend: list(examples(frontend, name))
            for frontend, spelled in SPELLED
            if spelled == name
        }
        without()
        assert loads
        for functions in loads.values():
            for load in functions:
                words = r"unsupported operator|not supported|the fused activation|[0-9] groups"
                with pytest.raises(DnaError, match=words):
                    load()

    def test_vanishes_from_the_page(self, name, without):
        assert operator_manual.tables().count(f"\n| {name} |") == 2
        row = without()
        text = operator_manual.tables()
        assert f"\n| {name} |" not in text
        for frontend in FRONTENDS:
            for spelling in row.spelling[frontend].names:
                assert f"`{spelling.replace('.default', '')}`" not in text

    def test_vanishes_from_the_generators(self, name, without):
        row = without()
        for seed in range(12):
            rng = np.random.default_rng(seed)
            if row.operation is not None:
                for draw in (random_network, random_layer):
                    assert row.operation not in {type(op) for op in draw(rng).operations}
            model = tflite.read(tflite_random.random_model(rng), "model")
            codes = {operator.code for operator in model.operators}
            assert not codes & set(row.spelling["tflite"].names)
            if name == "activation":
                acts = {op.options.get("fusedActivationFunction", 0) for op in model.operators}
                assert acts <= {tflite_models.NONE}


def _is_grouped(model):
    def found(operator):
        shapes = {model.tensors[index].shape[-1:] for index in operator.inputs[:2]}
        return operator.code == "CONV_2D" and len(shapes) > 1

    return found


def test_generators_draw_every_row():
    drawn, codes, grouped = set(), set(), False
    for seed in range(60):
        rng = np.random.default_rng(seed)
        for draw in (random_network, random_layer):
            drawn |= {type(op) for op in draw(rng).operations}
        model = tflite.read(tflite_random.random_model(rng), "model")
        codes |= {operator.code for operator in model.operators}
        grouped |= any(map(_is_grouped(model), model.operators))
    assert grouped
    assert drawn == {row.operation for row in table.TABLE if row.operation is not None}
    assert AveragePool2D in drawn
    for row in table.TABLE:
        names = set(row.spelling["tflite"].names)
        assert row.name in ("activation", "grouped convolution") or names & codes
