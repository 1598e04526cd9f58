"""Networks that carry maps from call to call, and networks of several inputs."""

import json

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from click.testing import CliRunner

from harness.cli import dna
from harness.verify.imported_tflite import network_of
from hw.config import PRESETS
from sim.compare.tflite import TfliteComparer
from sim.compare.whole import WholeComparer
from sim.functional import FunctionalModel
from sim.functional.flatbuffer import emit
from sim.functional.litert import LiteRT
from sim.reference import ReferenceModel
from sim.runtime import Runtime
from sim.verify.interpreter import interpret_program
from sw import artifact
from sw.compiler import compile_graph
from sw.errors import DnaError
from sw.frontends.tflite import import_file, read
from sw.frontends.tflite.file.packing import opened, packed
from tests import skips
from tests.support import state_models
from tests.support.tflite_models import CODE

NANO = PRESETS["nano"]
CALLS = 6
FILES = [("spotter", seed) for seed in range(6)] + [("accumulator", 0)]


def imported(tmp_path, name, seed=0):
    path = tmp_path / f"{name}.tflite"
    path.write_bytes(getattr(state_models, name)(seed))
    return path, import_file(path)


def saved(tmp_path, name, seed=0):
    path, file = imported(tmp_path, name, seed)
    place = tmp_path / f"{name}.dna"
    artifact.save(network_of(path, file), place)
    return path, file, place


def noise(graph, calls=CALLS):
    rng = np.random.default_rng(3)
    return rng.integers(-128, 128, (calls, *graph.tensors[graph.input].shape), dtype=np.int8)


@pytest.mark.parametrize(("name", "seed"), FILES)
def test_calls_one_after_the_other_are_litert(tmp_path, name, seed):
    path, file, place = saved(tmp_path, name, seed)
    compared = WholeComparer(path.read_bytes(), file, artifact.load(place))
    for number in range(CALLS):
        compared.compare(number)
    assert [each.differing for each in compared.answered] == [0]
    assert compared.answered[0].values


@pytest.mark.parametrize(("name", "seed"), [*FILES, *(("two_inputs", n) for n in range(3))])
def test_every_operator_is_litert(tmp_path, name, seed):
    _, file = imported(tmp_path, name, seed)
    comparer = TfliteComparer(file.content, file.model, file.imported, built_in=True)
    rows = [row for image in noise(file.imported.graph, 2) for row in comparer.image(image)]
    assert rows
    assert sum(row.mismatches for row in rows) == 0


@pytest.mark.parametrize(("name", "seed"), [*FILES, ("two_inputs", 0)])
def test_a_program_computes_every_call(tmp_path, name, seed):
    """On the machine a call's maps go in where the last one's came out, value by value."""
    _, file = imported(tmp_path, name, seed)
    graph = file.imported.graph
    program = compile_graph(graph, NANO)
    assert {each.tensor for each in program.memory.operands} == set(graph.further)
    engines = FunctionalModel(graph), ReferenceModel(graph)
    judge = LiteRT(emit(graph))
    rng = np.random.default_rng(seed)
    further = {
        name: rng.integers(-128, 128, graph.tensors[name].shape, dtype=np.int8)
        for name in graph.given[1:]
    }
    carried = graph.initial()
    for pixels in noise(graph):
        given = {**carried, **further}
        expected = engines[0].run_all(pixels, given)
        result = interpret_program(program, pixels, expected)
        assert result.values > 0
        assert result.mismatches == 0
        ends = [engine.outputs(pixels, given) for engine in engines]
        ends.append(judge.run(*graph.fed(pixels, given)))
        for arrays in zip(*ends, strict=True):
            assert all(np.array_equal(array, arrays[0]) for array in arrays)
        found = dict(zip(graph.outputs, ends[0], strict=True))
        carried = {s.source: found[s.target].reshape(carried[s.source].shape) for s in graph.states}


@pytest.mark.parametrize("engine", ["interpreter", "cxxrtl"])
def test_a_sequence_runs_and_is_verified_from_the_command_line(tmp_path, engine):
    _, file, place = saved(tmp_path, "spotter")
    calls, compiled = tmp_path / "calls.npy", tmp_path / "nano.dna"
    np.save(calls, noise(file.imported.graph, 3))
    runner = CliRunner()
    words = ["compile", place, "--config", "nano", "-o", compiled]
    assert runner.invoke(dna, [str(word) for word in words]).exit_code == 0
    figures = tmp_path / "figures.json"
    words = ["verify", compiled, "--engine", engine, "--image", calls, "--json", figures]
    result = runner.invoke(dna, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    found = json.loads(figures.read_text())
    assert len(found["calls"]) == 3
    assert found["values"] == sum(each["values"] for each in found["calls"])
    assert found["mismatches"] == found["litert_logits_differ"] == 0
    words = ["run", compiled, calls, "--json", figures]
    result = runner.invoke(dna, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    answers = [each["outputs"][0]["values"] for each in json.loads(figures.read_text())["images"]]
    runtime = Runtime.load(place)
    assert np.array_equal(answers, runtime.run(np.load(calls)))
    again = runtime.run(np.load(calls))
    assert not np.array_equal(answers, again)  # the calls before are not forgotten
    runtime.reset()
    assert np.array_equal(answers, runtime.run(np.load(calls)))


def test_several_inputs_are_given_by_name(tmp_path):
    _, file, place = saved(tmp_path, "two_inputs")
    graph = file.imported.graph
    assert graph.given == ("input", "input2")
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.integers(-128, 128, graph.tensors[name].shape, dtype=np.int8)
        for name in graph.given
    }
    both, one = tmp_path / "both.npz", tmp_path / "one.npz"
    np.savez(both, **arrays)
    np.savez(one, input=arrays["input"])
    figures = tmp_path / "figures.json"
    runner = CliRunner()
    words = [str(word) for word in ("run", place, both, "--json", figures)]
    result = runner.invoke(dna, words)
    assert result.exit_code == 0, result.output
    (answer,) = json.loads(figures.read_text())["images"][0]["outputs"]
    (expected,) = FunctionalModel(graph).outputs(arrays["input"], {"input2": arrays["input2"]})
    target = graph.tensors[graph.output]
    real = (expected.astype(np.float32) - target.zero_point) * np.float32(target.scale)
    assert np.array_equal(np.float32(answer["values"]), real.reshape(-1))
    words = [str(word) for word in ("compile", place, "--config", "nano", "-o", tmp_path / "n")]
    assert runner.invoke(dna, words).exit_code == 0
    words = ["verify", tmp_path / "n", "--engine", "interpreter", "--image", both]
    assert runner.invoke(dna, [str(word) for word in words]).exit_code == 0
    np.save(tmp_path / "alone.npy", arrays["input"])
    (tmp_path / "note.npz").write_text("no archive")
    for wrong, said in (
        (one, "has the arrays input; the network takes input, input2"),
        (tmp_path / "alone.npy", "the network takes input, input2"),
        (tmp_path / "note.npz", "cannot read"),
    ):
        words[-1] = wrong
        result = runner.invoke(dna, [str(word) for word in words])
        assert isinstance(result.exception, DnaError)
        assert said in str(result.exception)


@pytest.mark.parametrize(
    "command",
    [
        ("loadgen", "--scenario", "Offline"),
        pytest.param(("bench",), marks=skips.needs_torch),
        ("pack", "-o", "packed"),
    ],
)
def test_what_takes_inputs_that_stand_alone_refuses_it(tmp_path, command):
    _, _, place = saved(tmp_path, "spotter")
    name, *options = command
    result = CliRunner().invoke(dna, [name, str(place), *options])
    assert isinstance(result.exception, DnaError), result.output
    assert "carries maps from call to call" in str(result.exception)


def test_a_program_of_several_images_is_refused(tmp_path):
    _, file = imported(tmp_path, "spotter")
    with pytest.raises(DnaError, match="a program computes 1 image"):
        compile_graph(file.imported.graph, NANO, images=2)


def _changed(change):
    """The file of the accumulator, after ``change`` of its ``ModelT``."""
    model = opened(state_models.accumulator())
    change(model)
    return packed(model)


def _operators(model, code, graph=0):
    numbers = [each.builtinCode for each in model.operatorCodes]
    return [
        operator
        for operator in model.subgraphs[graph].operators
        if numbers[operator.opcodeIndex] == code
    ]


def _drop(model, code, graph=0):
    gone = _operators(model, code, graph)
    model.subgraphs[graph].operators = [
        each for each in model.subgraphs[graph].operators if each not in gone
    ]


def _without_a_start(model):
    _drop(model, CODE.CALL_ONCE)
    model.subgraphs = model.subgraphs[:1]


def _never_assigned(model):
    _drop(model, CODE.ASSIGN_VARIABLE)


def _assigned_twice(model):
    graph = model.subgraphs[0]
    again = _operators(model, CODE.ASSIGN_VARIABLE)[0]
    source = int(graph.inputs[0])
    graph.operators.append(
        schema.OperatorT(
            opcodeIndex=again.opcodeIndex,
            inputs=np.array([again.inputs[0], source], np.int32),
            outputs=[],
            builtinOptionsType=again.builtinOptionsType,
            builtinOptions=again.builtinOptions,
        )
    )


def _another_scale(model):
    read_ = _operators(model, CODE.READ_VARIABLE)[0]
    model.subgraphs[0].tensors[int(read_.outputs[0])].quantization.scale = np.array([0.25], "f4")


def _begins_with_what_is_computed(model):
    assign = _operators(model, CODE.ASSIGN_VARIABLE, 1)[0]
    model.subgraphs[1].tensors[int(assign.inputs[1])].buffer = 0


def _a_third_subgraph(model):
    model.subgraphs.append(schema.SubGraphT(tensors=[], inputs=[], outputs=[], operators=[]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_without_a_start, "is read before anything has assigned it"),
        (_never_assigned, "is assigned nothing that the network computes"),
        (_assigned_twice, "is assigned twice in a call"),
        (_another_scale, "another type, shape or scale"),
        (_begins_with_what_is_computed, "more than variables that get constants"),
        (_a_third_subgraph, "3 subgraphs"),
    ],
)
def test_what_is_not_understood_is_refused_in_one_line(change, said):
    with pytest.raises(DnaError, match=said) as caught:
        read(_changed(change), "a file")
    assert "\n" not in str(caught.value)


def test_an_artifact_that_lost_its_state_is_damaged(tmp_path):
    _, file = imported(tmp_path, "accumulator")
    graph = file.imported.graph
    graph.constants["state1.initial"] = graph.constants["state1.initial"][..., :2].copy()
    artifact.save(network_of(tmp_path / "x", file), tmp_path / "x.dna")
    with pytest.raises(DnaError, match="begins with"):
        artifact.load(tmp_path / "x.dna")
