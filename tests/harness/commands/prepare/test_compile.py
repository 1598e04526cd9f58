import dataclasses
import json

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import dna
from hw.config import PRESETS
from hw.isa import Engine, assemble, read_program
from sim.cycles import layer_times, predict
from sim.interpreter.program import Interpreter
from sim.reference import ReferenceModel
from sw import artifact
from sw.errors import DnaError
from tests.support.graphs import random_image
from tests.support.tiny import save_artifact


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_artifact(tmp_path_factory.mktemp("model") / "tiny", side=24)


@pytest.fixture(scope="module")
def compiled(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compiled")
    output = folder / "tiny.nano"
    result = invoke(
        "compile", model, "--config", "nano", "-o", output, "--json", folder / "layers.json"
    )
    assert result.exit_code == 0, result.output
    return output, json.loads((folder / "layers.json").read_text()), result.stdout


def invoke(*arguments):
    return CliRunner().invoke(dna, [str(argument) for argument in arguments])


def test_the_artifact_runs(compiled, model):
    loaded = artifact.load(compiled[0])
    assert loaded.graph.operations == artifact.load(model).graph.operations
    image = random_image(np.random.default_rng(0), loaded.graph)
    dram = loaded.program.image(image)
    Interpreter(loaded.program.config, dram).run(loaded.program.code)
    logits = loaded.program.memory.output.read(dram).ravel()
    expected = ReferenceModel(loaded.graph).run_all(image)[loaded.graph.output]
    np.testing.assert_array_equal(logits, expected)


def test_the_manifest_says_for_which_machine(compiled):
    target = artifact.load(compiled[0]).manifest.target
    assert target.config == PRESETS["nano"]
    assert target.digest == PRESETS["nano"].digest


def test_tables_and_json(compiled):
    output, figures, text = compiled
    program = artifact.load(output).program
    assert figures["config"] == "nano"
    assert figures["macs"] == sum(layer.macs for layer in program.layers)
    assert [layer["name"] for layer in figures["layers"]] == [la.name for la in program.layers]
    assert {"macs", "bound", "estimated_cycles"} <= figures["layers"][0].keys()
    for layer in program.layers:
        assert layer.name in text
    assert f"{program.memory.size:,}" in text
    estimate = f"{figures['estimated_cycles']:,} cycles are the compiler's estimate, not the score"
    assert f"{estimate}: `dna report {output}`" in text


def test_a_program_of_several_images_beside_that_of_one(model, compiled, tmp_path):
    output, figures = tmp_path / "tiny.nano", tmp_path / "layers.json"
    words = ("compile", model, "--config", "nano", "--images", 3, "-o", output)
    result = invoke(*words, "--json", figures)
    assert result.exit_code == 0, result.output
    network = artifact.load(output)
    assert network.program == artifact.load(compiled[0]).program
    assert (network.batch.images, network.batch.weights) == (3, network.program.weights)
    assert "a second program computes 3 images" in result.stdout
    said = json.loads(figures.read_text())
    assert said["images"] == 3 and compiled[1]["images"] == 1
    assert said["macs"] == compiled[1]["macs"] and said["batch"]["macs"] == 3 * said["macs"]
    listing = invoke("disasm", output, "--batch")
    assert list(assemble(listing.stdout.splitlines())) == read_program(network.batch.code)
    again = tmp_path / "again"
    assert invoke("compile", output, "--config", "nano", "-o", again).exit_code == 0
    assert artifact.load(again).batch is None


def test_the_words_for_what_binds_are_those_of_the_report(compiled):
    """Both name the engine."""
    output, figures, _ = compiled
    program = artifact.load(output).program
    engines = {engine.name.lower() for engine in Engine}
    assert {layer["bound"] for layer in figures["layers"]} <= engines
    assert {time.bound.name.lower() for time in layer_times(program, predict(program))} <= engines


def test_names_in_brackets_are_names(model, tmp_path):
    folder = tmp_path / "run [v2]" / "x[" / "y]"
    folder.mkdir(parents=True)
    machine, output = folder / "[bold].json", folder / "k[int8].dna"
    config = dataclasses.replace(PRESETS["nano"], name="[/red]")
    machine.write_bytes(msgspec.json.encode(config))
    result = invoke("compile", model, "--config", machine, "-o", output)
    assert result.exit_code == 0, result.output
    assert f"`dna report {output}`" in result.output
    result = invoke("report", output, "-o", folder / "r[1].html")
    assert f"wrote {folder}/r[1].html" in result.output and " on [/red], " in result.output
    assert (folder / "r[1].html").is_file()


def test_a_machine_from_a_file(model, tmp_path):
    config = dataclasses.replace(PRESETS["nano"], name="mine", feature_words=1024)
    (tmp_path / "mine.json").write_bytes(msgspec.json.encode(config))
    output = tmp_path / "tiny.mine"
    result = invoke("compile", model, "--config", tmp_path / "mine.json", "-o", output)
    assert result.exit_code == 0, result.output
    assert artifact.load(output).program.config == config


def test_the_listing_is_the_program(compiled):
    result = invoke("disasm", compiled[0])
    assert result.exit_code == 0
    program = artifact.load(compiled[0]).program
    assert list(assemble(result.stdout.splitlines())) == read_program(program.code)
    for layer in program.layers:
        assert f"# layer {layer.number}: {layer.name}, {layer.kind}" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compile", "MODEL", "--config", "mega", "-o", "OUT"), "no configuration 'mega'"),
        (("compile", "nowhere", "--config", "nano", "-o", "OUT"), "nowhere is not an artifact"),
        (("compile", "MODEL", "--config", "BAD", "-o", "OUT"), "rows must be a power of two"),
        (("compile", "MODEL", "--config", "TINY", "-o", "OUT"), "feature_words of at least"),
        (("compile", "MODEL", "--config", "nano", "-o", "BAD"), "is not an artifact"),
        (("disasm", "MODEL"), "has no program; make one with `dna compile"),
        (("disasm", "MODEL", "--batch"), "has no program; make one with `dna compile"),
        (
            ("compile", "MODEL", "--config", "nano", "--images", "65", "-o", "OUT"),
            "a program computes 1 to 64 images, not 65",
        ),
    ],
)
def test_bad_input(model, tmp_path, arguments, message):
    config = msgspec.to_builtins(PRESETS["nano"])
    bad, tiny = tmp_path / "bad.json", tmp_path / "tiny.json"
    bad.write_text(json.dumps({**config, "rows": 3}))
    tiny.write_text(json.dumps({**config, "feature_words": 16}))
    places = {"MODEL": model, "OUT": tmp_path / "out", "BAD": bad, "TINY": tiny}
    result = invoke(*(places.get(argument, argument) for argument in arguments))
    assert isinstance(result.exception, DnaError)
    assert message in str(result.exception)
    assert not (tmp_path / "out").exists()


def damage(folder, change):
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest, folder)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _other_version(manifest, _):
    manifest["target"]["isa_version"] = 99


def _other_digest(manifest, _):
    manifest["target"]["config"]["feature_words"] *= 2


def _no_weights(manifest, _):
    del manifest["files"]["weights.bin"]


def _shorter(manifest, _):
    manifest["target"]["memory"]["weights"]["length"] -= 8


def _one_image_more(manifest, _):
    manifest["target"]["batch"]["images"] += 1


def _no_number_of_images(manifest, _):
    manifest["target"]["batch"] = None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_one_image_more, "is not the one that was compiled"),
        (_no_number_of_images, "lists batch.bin and not how many images"),
        (lambda m, _: m["target"]["batch"].update(images=1), "damaged: a batch of 1"),
        (lambda m, _: m["files"].pop("batch.json"), "lists no batch.json"),
        (lambda m, _: m["target"]["batch"]["memory"]["program"].update(length=1), "batch.bin has"),
        (lambda _, f: (f / "batch.bin").write_bytes(b""), "batch.bin differs from its checksum"),
    ],
)
def test_damaged_programs_of_several_images_are_not_loaded(model, tmp_path, change, message):
    output = tmp_path / "tiny.nano"
    words = ("compile", model, "--config", "nano", "--images", "2", "-o", output)
    assert invoke(*words).exit_code == 0
    damage(output, change)
    with pytest.raises(DnaError, match=message):
        artifact.load(output)


def test_a_schedule_for_a_memory_by_name(model, tmp_path):
    made, words = tmp_path / "f.json", ("--memory", "ddr3-1600x16", "--clock", "400")
    output = ("-o", tmp_path / "tiny.nano", "--json", made)
    result = invoke("compile", model, "--config", "nano", *words, *output)
    assert result.exit_code == 0, result.output
    figures = json.loads(made.read_text())
    # 3.2 GB/s at 400 MHz are 8 bytes a cycle, which is nano's path.
    assert 0.8 < figures["memory_bandwidth"] < 0.97
    assert figures["memory"]["name"] == "ddr3-1600x16"
    assert artifact.load(tmp_path / "tiny.nano").program.bandwidth == figures["memory_bandwidth"]


def _flipped(_, folder):
    code = bytearray((folder / "program.bin").read_bytes())
    code[70] ^= 1
    (folder / "program.bin").write_bytes(code)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_other_version, "instruction set 99"),
        (_other_digest, "manifest.json is damaged: configuration nano has digest"),
        (_no_weights, "lists no weights.bin"),
        (_shorter, r"weights.bin has \d+ bytes where"),
        (_flipped, "program.bin differs from its checksum"),
    ],
)
def test_damaged_programs_are_not_loaded(model, tmp_path, change, message):
    output = tmp_path / "tiny.nano"
    assert invoke("compile", model, "--config", "nano", "-o", output).exit_code == 0
    damage(output, change)
    with pytest.raises(DnaError, match=message):
        artifact.load(output)
