"""What of a TFLite file runs on the machine and what on the host: together they are LiteRT."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import dna
from harness.verify.imported_tflite import network_of
from sim.compare.whole import WholeComparer
from sim.host import WholeModel, entered, host_time
from sim.runtime import Runtime
from sw import artifact
from sw.artifact.host import HEAD, INPUT, TAIL
from sw.errors import DnaError
from sw.frontends.tflite import import_file
from tests.support import hosted_models
from tests.sw.artifact.support import rehash, rewrite

FILES = ("detector", "with_a_head", "reads_its_input_twice")


def imported(tmp_path, name, seed=0):
    path = tmp_path / f"{name}.tflite"
    path.write_bytes(getattr(hosted_models, name)(seed))
    return path, import_file(path)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("seed", range(3))
def test_both_parts_together_are_litert(tmp_path, name, seed):
    path, file = imported(tmp_path, name, seed)
    place = tmp_path / "model.dna"
    artifact.save(network_of(path, file), place)
    compared = WholeComparer(path.read_bytes(), file, artifact.load(place))
    for number in range(3):
        compared.compare(number)
    assert [each.differing for each in compared.answered] == [0] * len(compared.answered)
    assert all(each.values for each in compared.answered)


def test_a_value_that_differs_is_counted(tmp_path):
    path, file = imported(tmp_path, "detector")
    content = path.read_bytes()
    compared = WholeComparer(content, file, network_of(*imported(tmp_path, "detector", 1)))
    compared.compare(0)
    assert any(each.differing for each in compared.answered)


def test_two_heads(tmp_path):
    _, file = imported(tmp_path, "detector")
    host, graph = file.host, file.imported.graph
    assert host.head is None
    assert host.tail.operators == {"DEQUANTIZE": 1, "EXP": 1}
    assert {tensor.name for tensor in host.tail.inputs} == set(graph.outputs)
    assert file.divided.share == 1
    assert any("EXP" in note for note in file.notes)


def test_a_head(tmp_path):
    path, file = imported(tmp_path, "with_a_head")
    assert file.host.tail is None
    assert file.host.head.operators == {"SQUARE": 1, "QUANTIZE": 1}
    network = network_of(path, file)
    assert network.manifest.classifies
    assert network.manifest.given_shape == (6, 6, 3)
    given = np.full((6, 6, 3), 0.5, np.float32)
    assert (entered(network, given) == round(0.25 / 0.01) - 100).all()


def test_the_input_that_the_tail_reads(tmp_path):
    _, file = imported(tmp_path, "reads_its_input_twice")
    assert file.host.head.operators == {"QUANTIZE": 1}
    assert INPUT in [tensor.name for tensor in file.host.tail.inputs]


def test_too_little_for_the_machine_is_refused_by_its_operator(tmp_path):
    with pytest.raises(DnaError, match=r"operator 2 \(EXP\): this operator is not supported"):
        imported(tmp_path, "mostly_floats")


def test_commands(tmp_path):
    path, _ = imported(tmp_path, "detector")
    place, figures = tmp_path / "model.dna", tmp_path / "figures.json"

    def run(*words):
        done = CliRunner().invoke(dna, [*map(str, words), "--json", str(figures)])
        assert done.exit_code == 0, done.output
        return json.loads(figures.read_text())

    said = run("import", path, "-o", place)
    assert (said["share"], said["whole"]["differing"]) == (1, 0)
    assert said["machine_macs"] == said["file_macs"] > 0
    given = tmp_path / "given.npy"
    np.save(given, np.zeros((8, 8, 3), np.int8))
    (seen,) = run("run", place, given)["images"]
    assert [output["type"] for output in seen["outputs"]] == ["float32", "int8"]
    compiled = tmp_path / "nano.dna"
    run("compile", place, "--config", "nano", "-o", compiled)
    assert run("verify", compiled, "--engine", "interpreter", "--image", given)["mismatches"] == 0
    assert run("report", compiled)["host"]["runs"] > 0
    assert run("compare", path, "--random", 1)["mismatches"] == 0
    arrays = tmp_path / "out.npz"
    done = CliRunner().invoke(dna, ["deployed", str(place), str(given), "-o", str(arrays)])
    assert done.exit_code == 0
    assert [values.shape[0] for values in np.load(arrays).values()] == [1, 1]


def test_the_answer_is_not_one_map(tmp_path):
    path, file = imported(tmp_path, "detector")
    network = network_of(path, file)
    runtime = Runtime(network)
    image = np.zeros((8, 8, 3), np.float32)
    with pytest.raises(DnaError, match=r"Runtime\.infer"):
        runtime.run(image[None])
    plain = Runtime(network, "reference").infer(image)
    for name, values in runtime.infer(image).items():
        assert np.array_equal(values, plain[name])
    assert host_time(network, 2).runs == 2
    assert WholeModel(network).outputs(np.zeros((8, 8, 3), np.int8)).keys() == plain.keys()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tail: tail["inputs"][0].update(name="nothing"), "which nothing makes"),
        (lambda tail: tail["inputs"][0].update(shape=[1, 1]), "is not the"),
        (lambda tail: tail["inputs"][0].update(type="float7"), "which there is not"),
        (lambda tail: tail.update(runtime="basic"), "damaged"),
    ],
)
def test_a_host_that_does_not_fit_is_refused(tmp_path, change, words):
    path, file = imported(tmp_path, "detector")
    place = tmp_path / "model.dna"
    artifact.save(network_of(path, file), place)
    rewrite(place, lambda manifest: change(manifest["host"]["tail"]))
    with pytest.raises(DnaError, match=words):
        artifact.load(place)


def test_a_changed_model_of_the_host_is_refused(tmp_path):
    path, file = imported(tmp_path, "detector")
    place = tmp_path / "model.dna"
    before = artifact.network_digest(artifact.save(network_of(path, file), place))
    (place / TAIL).write_bytes(b"nothing")
    with pytest.raises(DnaError, match="checksum"):
        artifact.load(place)
    rehash(place)
    changed = artifact.load(place)
    assert artifact.network_digest(changed) != before
    assert HEAD not in changed.host
    with pytest.raises(DnaError, match="does not load"):
        Runtime(changed)
