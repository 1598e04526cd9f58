"""A program belongs to its network: nobody pairs one's cycles with another's answers."""

import json
import shutil

import numpy as np
import pytest

from hw.config import PRESETS
from hw.isa import Opcode, program_bytes, read_program
from hw.isa.encoding import Instruction
from sw import artifact
from sw.artifact import binding
from sw.compiler import compile_graph
from sw.errors import DnaError
from tests.support.graphs import random_small_graph
from tests.sw.artifact.support import rehash, rewrite

PROGRAM = (artifact.CODE, artifact.WEIGHTS, artifact.LAYERS)


@pytest.fixture
def other(tmp_path):
    """Of the same shapes, with other weights."""
    graph = random_small_graph(np.random.default_rng(4), (8, 8, 3), 5)
    made = artifact.make(
        graph, model="o", framework="none", preprocessing="caffe", class_names=list("abcde")
    )
    path = tmp_path / "other.nano"
    program = compile_graph(graph, PRESETS["nano"])
    artifact.save(artifact.with_program(made, program), path)
    return path


@pytest.mark.parametrize("names", [PROGRAM, (artifact.CODE,), (artifact.WEIGHTS,)])
def test_a_program_of_another_network_is_refused(compiled, other, names):
    _, path = compiled
    for name in names:
        shutil.copyfile(other / name, path / name)
    rehash(path)
    with pytest.raises(DnaError, match=r"model\.nano is not the one that was compiled"):
        artifact.load(path)


def test_a_program_with_its_target_is_refused_too(compiled, other):
    _, path = compiled
    for name in PROGRAM:
        shutil.copyfile(other / name, path / name)
    theirs = json.loads((other / artifact.MANIFEST).read_text())["target"]
    rewrite(path, lambda manifest: manifest.update(target=theirs))
    rehash(path)
    with pytest.raises(DnaError, match="has the program of another network"):
        artifact.load(path)


def test_a_graph_of_another_network_is_refused(compiled, other):
    _, path = compiled
    for name in (artifact.GRAPH, artifact.CONSTANTS):
        shutil.copyfile(other / name, path / name)
    theirs = json.loads((other / artifact.MANIFEST).read_text())
    edges = {name: theirs[name] for name in ("input", "output")}
    rewrite(path, lambda manifest: manifest.update(edges))
    rehash(path)
    with pytest.raises(DnaError, match="has the program of another network"):
        artifact.load(path)


@pytest.mark.parametrize("what", ["code", "weights", "layers"])
def test_a_forged_program_is_not_what_the_compiler_makes(compiled, other, what):
    """Whoever makes all checksums anew still has a program that computes another network."""
    _, path = compiled
    name = dict(zip(("code", "weights", "layers"), PROGRAM, strict=True))[what]
    if what == "code":
        program = read_program((path / name).read_bytes())
        number = next(n for n, op in enumerate(program) if op.opcode is Opcode.POST)
        op = program[number]
        program[number] = Instruction(op.opcode, {**op.fields, "zero_point": op["zero_point"] ^ 1})
        (path / name).write_bytes(program_bytes(program))
    elif what == "weights":
        shutil.copyfile(other / name, path / name)
    else:
        layers = json.loads((path / name).read_text())
        layers[0]["estimated_cycles"] -= 1
        (path / name).write_text(json.dumps(layers))
    rehash(path, seal=True)
    with pytest.raises(DnaError, match=f"is not of its network: {what} differs"):
        artifact.load(path)


def test_with_program_does_not_make_another_networks_program_ones_own(compiled, other, tmp_path):
    written, _ = compiled
    wrong = artifact.with_program(written, artifact.load(other).program)
    artifact.save(wrong, tmp_path / "wrong")
    with pytest.raises(DnaError, match="is not of its network"):
        artifact.load(tmp_path / "wrong")


def test_a_program_for_no_machine_is_refused(compiled):
    _, path = compiled
    rewrite(path, lambda manifest: manifest.update(targets=manifest.pop("target")))
    with pytest.raises(DnaError, match=r"lists program\.bin and no machine that it is for"):
        artifact.load(path)


def test_the_bandwidth_of_a_schedule_is_kept(saved, tmp_path):
    network, _ = saved
    program = compile_graph(network.graph, PRESETS["nano"], 0.25)
    artifact.save(artifact.with_program(network, program), tmp_path / "slow")
    assert artifact.load(tmp_path / "slow").program == program


@pytest.fixture
def several(saved, tmp_path):
    network, _ = saved
    one, two = (compile_graph(network.graph, PRESETS["nano"], images=count) for count in (1, 2))
    path = tmp_path / "several"
    return artifact.save(artifact.with_program(network, one, two), path), path


def test_a_program_of_several_images_is_kept(several):
    written, path = several
    read = artifact.load(path)
    assert read.program == written.program and read.batch == written.batch
    assert artifact.batch_of(read, path).images == 2


def test_it_is_bound_to_its_network_too(several):
    written, path = several
    other = compile_graph(written.graph, PRESETS["nano"], images=3)
    (path / artifact.BATCH_CODE).write_bytes(other.code)
    rewrite(
        path,
        lambda manifest: manifest["target"]["batch"]["memory"]["program"].update(
            length=len(other.code)
        ),
    )
    rehash(path)
    with pytest.raises(DnaError, match="is not the one that was compiled"):
        artifact.load(path)
    rehash(path, seal=True)
    with pytest.raises(DnaError, match=r"is not of its network: (code|memory) differs"):
        artifact.load(path)


def test_another_compilers_program_of_several_images_is_within_its_memories(several):
    _, path = several
    rewrite(path, lambda manifest: manifest["target"].update(compiler="another"))
    rehash(path, seal=True)
    assert artifact.load(path).batch is not None
    rewrite(path, lambda manifest: manifest["target"]["batch"].update(images=3))
    rehash(path, seal=True)
    with pytest.raises(DnaError, match="is damaged"):
        artifact.load(path)


def test_an_artifact_without_one_says_how_to_make_one(compiled):
    network, path = compiled
    with pytest.raises(DnaError, match=r"--config nano --images N` makes one of several"):
        artifact.batch_of(network, path)


def test_a_program_is_compiled_again_once(compiled, tmp_path, monkeypatch):
    written, path = compiled
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert artifact.load(path).program == written.program
    monkeypatch.setattr("sw.compiler.compile_graph", None)
    assert artifact.load(path).program == written.program


def test_a_cache_that_cannot_be_written_is_no_fault(compiled, tmp_path, monkeypatch):
    written, path = compiled
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert artifact.load(path).program == written.program


def test_programs_from_before_they_named_their_network_are_not_read(compiled):
    written, path = compiled

    def older(manifest):
        for name in ("bandwidth", "compiler", "network", "program"):
            del manifest["target"][name]

    rewrite(path, older)
    read = artifact.load(path)
    assert read.program is None and read.manifest.target is None
    assert read.graph.operations == written.graph.operations
    with pytest.raises(DnaError, match=r"do not say which network they are of; recompile it with"):
        artifact.program_of(read, path)


def test_the_digest_of_the_compiler_is_that_of_its_sources(monkeypatch):
    seen = []
    monkeypatch.setattr(binding.digests, "of_sources", lambda *places: seen.extend(places) or "x")
    binding.compiler_digest.cache_clear()
    assert binding.compiler_digest() == "x"
    binding.compiler_digest.cache_clear()
    assert "compiler/**/*.py" in [pattern for _, pattern in seen]
