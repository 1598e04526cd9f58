import itertools
import json
import re
import time
from unittest import mock

import distributed
import numpy as np
import pytest
from click.testing import CliRunner

from harness.commands.run.verify import command
from harness.host import workers
from harness.verify import single_layers
from hw.config import PRESETS
from hw.isa import Opcode
from hw.status import Fault
from sim.driver import MachineError
from sim.functional import FunctionalModel
from sim.memory.model import MemoryModel
from sim.rtl import registry
from sim.verify import rtl
from sw import artifact
from sw.compiler import compile_graph
from sw.errors import DnaError
from tests.sim.verify.damage import damaged
from tests.support.tiny import save_artifact, save_photographs

NANO = PRESETS["nano"]
LAYERS = "block3.*"
NAMES = ["block3.shortcut", "block3.conv1", "block3.conv2", "block3.conv3+block3.add"]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return save_artifact(tmp_path_factory.mktemp("network") / "tiny")


@pytest.fixture(scope="module")
def compiled(network):
    path = network.with_name("tiny-nano")
    tiny = artifact.load(network)
    artifact.save(artifact.with_program(tiny, compile_graph(tiny.graph, NANO)), path)
    return path


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    return save_photographs(tmp_path_factory.mktemp("photographs"), 1) / "0.jpg"


@pytest.fixture
def invoke(network, photograph):
    def call(*arguments, path=network, config=("--config", "nano")):
        image = () if "--image" in arguments else ("--image", photograph)
        words = [path, *config, *image, *arguments]
        return CliRunner().invoke(command, [str(word) for word in words])

    return call


@pytest.fixture
def wrong_tensor(monkeypatch):
    """Plants a fault in what is expected of the logits."""
    honest = FunctionalModel.run_all

    def corrupted(self, image, *further):
        tensors = honest(self, image, *further)
        tensors["logits"] = tensors["logits"] ^ np.eye(10, dtype=np.int8)[4]
        return tensors

    monkeypatch.setattr(FunctionalModel, "run_all", corrupted)


def test_single_layers_pass(invoke, tmp_path):
    result = invoke("--layers", LAYERS, "--workers", 1, "--json", tmp_path / "f.json")
    assert result.exit_code == 0, result.output
    assert "4 of 4 layers" in result.output and ", 0 differ" in result.output
    figures = json.loads((tmp_path / "f.json").read_text())
    assert (figures["config"], figures["engine"]) == ("nano", "cxxrtl")
    assert figures["complete"] is True
    assert [layer["name"] for layer in figures["layers"]] == NAMES
    for key in ("values", "mismatches", "reference_mismatches", "cycles", "macs"):
        assert figures[key] == sum(layer[key] for layer in figures["layers"])
    assert figures["values"] > 0 and figures["mismatches"] == 0 and figures["seconds"] > 0
    assert figures["utilization"] == figures["macs"] / (NANO.macs * figures["cycles"])
    assert figures["memory"]["latency_cycles"] == MemoryModel().latency


def test_a_compiled_artifact_runs_whole_or_by_layers(invoke, compiled, tmp_path):
    file = tmp_path / "f.json"
    whole = invoke("--json", file, path=compiled, config=())
    assert whole.exit_code == 0, whole.output
    assert "one program from start to interrupt" in whole.output
    names = [layer["name"] for layer in json.loads(file.read_text())["layers"]]
    single = invoke("--layers", "logits", "--json", file, path=compiled, config=())
    assert single.exit_code == 0, single.output
    assert "each layer alone" in single.output
    assert [layer["name"] for layer in json.loads(file.read_text())["layers"]] == [names[-1]]


def test_several_processes(invoke):
    result = invoke("--layers", LAYERS, "--workers", 2)
    assert result.exit_code == 0, result.output
    assert "4 of 4 layers" in result.output


def test_a_cluster(invoke):
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        result = invoke("--layers", LAYERS, "--scheduler", cluster.scheduler_address)
    assert result.exit_code == 0, result.output
    assert "4 of 4 layers" in result.output


def test_a_memory_of_a_seed_is_told_and_changes_no_bit(invoke, tmp_path):
    cycles = set()
    for seed in (0, 1, 4):
        memory = MemoryModel.random(seed)
        wanted = ("--memory-seed", seed, "--json", tmp_path / "f.json")
        result = invoke("--layers", "logits", *wanted)
        assert result.exit_code == 0, result.output
        figures = json.loads((tmp_path / "f.json").read_text())
        cycles.add(figures["cycles"])
        assert figures["memory"] == {
            "name": "ideal",
            "bytes_per_cycle": memory.bandwidth * NANO.dram_bytes_per_cycle,
            "latency_cycles": memory.latency,
            "words_per_cycle": memory.bandwidth,
            "reorder": memory.reorder,
            "stall_probability": memory.stalls.probability,
            "stall_seed": seed,
        }
        assert f"latency {memory.latency} cycles" in result.output
        assert f"(seed {seed})" in result.output
        assert ("reads in any order" in result.output) == memory.reorder
    assert len(cycles) == 3


def test_a_memory_by_name_changes_no_bit(invoke, tmp_path):
    wanted = ("--memory", "lpddr4-3200x32", "--clock", "100", "--json", tmp_path / "f.json")
    result = invoke("--layers", "logits", *wanted)
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["memory"] == MemoryModel.named("lpddr4-3200x32", 100).figures(8)
    assert figures["mismatches"] == 0 < figures["values"]
    assert "memory lpddr4-3200x32" in result.output


def test_mismatch_of_a_layer(invoke, wrong_tensor, tmp_path):
    wanted = ("--layers", "logits", "--memory-seed", 1, "--json", tmp_path / "f.json")
    result = invoke(*wanted)
    assert result.exit_code == 1
    figures = json.loads((tmp_path / "f.json").read_text())
    (layer,) = figures["layers"]
    assert layer["mismatches"] == 2 and layer["reference_mismatches"] == 1
    assert layer["first"]["where"] == [0, 0, 4]
    assert layer["first"]["expected"] == layer["first"]["got"] ^ 1
    for part in (
        "(y, x, channel) (0, 0, 4)",
        f"instruction {layer['first']['instruction'][0]}: post",
        "--layers logits",
        "--config nano",
        "--memory-seed 1",
        "--waves machine.vcd --cycles ",
        "1 values of the functional model differ from the reference",
    ):
        assert part in result.output, result.output


def test_mismatch_of_a_whole_program(invoke, compiled, monkeypatch, tmp_path):
    """What only the hardware gets wrong: the interpreter has passed."""
    honest = rtl.verify_program

    def faulty(machine, program, image, expected, **options):
        wrong = expected["logits"] ^ np.eye(10, dtype=np.int8)[4]
        return honest(machine, program, image, {**expected, "logits": wrong}, **options)

    monkeypatch.setattr(rtl, "verify_program", faulty)
    result = invoke("--json", tmp_path / "f.json", path=compiled, config=())
    assert result.exit_code == 1
    assert "logits: 1 of 10 values differ" in result.output
    assert "1 logits in memory differ" in result.output
    assert "--waves machine.vcd --cycles " in result.output
    figures = json.loads((tmp_path / "f.json").read_text())
    assert (figures["engine"], figures["complete"], figures["mismatches"]) == ("cxxrtl", True, 2)
    assert figures["interpreter"]["mismatches"] == 0


def test_the_interpreter_runs_beside_the_hardware(invoke, compiled, tmp_path):
    result = invoke("--json", tmp_path / "f.json", path=compiled, config=())
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "f.json").read_text())
    first = figures["interpreter"]
    assert (first["values"], first["mismatches"]) == (figures["values"], 0)
    assert 0 < first["seconds"] < 60
    told = f"interpreter: {first['values']:,} values compared, 0 differ"
    assert 0 <= result.output.index(told) < result.output.index("one program from start to")


@pytest.fixture
def no_hardware(monkeypatch):
    """Fails if a simulator of the RTL is opened."""

    def fail(*_, **__):
        raise AssertionError("the hardware was run")

    monkeypatch.setattr(registry, "open_simulator", fail)


def test_the_interpreter_alone(invoke, compiled, no_hardware, tmp_path):
    wanted = ("--engine", "interpreter", "--json", tmp_path / "f.json")
    result = invoke(*wanted, path=compiled, config=())
    assert result.exit_code == 0, result.output
    assert ", 0 differ; interpreted in " in result.output and "without time" in result.output
    figures = json.loads((tmp_path / "f.json").read_text())
    assert (figures["config"], figures["engine"]) == ("nano", "interpreter")
    assert (figures["complete"], figures["mismatches"], figures["logits_differ"]) == (True, 0, 0)
    graph = artifact.load(compiled).graph
    assert figures["macs"] == sum(graph.macs(operation) for operation in graph.operations)
    for key in ("values", "macs"):
        assert figures[key] == sum(layer[key] for layer in figures["layers"]) > 0
    for key in ("cycles", "utilization", "memory", "activity"):
        assert figures[key] is None
    assert {layer["cycles"] for layer in figures["layers"]} == {None}
    assert figures["litert_logits_differ"] == 0


def test_the_interpreter_tells_the_keys_of_the_hardware(invoke, compiled, tmp_path):
    seen = []
    for engine in ("interpreter", "cxxrtl"):
        result = invoke("--engine", engine, "--json", tmp_path / "f.json", path=compiled, config=())
        assert result.exit_code == 0, result.output
        figures = json.loads((tmp_path / "f.json").read_text())
        seen.append((set(figures), set(figures["layers"][0]), figures["values"], figures["macs"]))
    assert seen[0] == seen[1]


def save_damaged(compiled, path, opcode, **fields):
    """The compiled network with changed fields in the last instruction of one kind.

    It says that another compiler made it: a program of our own is compiled again when it is loaded.
    """
    network = artifact.load(compiled)
    program = damaged(network.program, opcode, **fields)
    with mock.patch.object(artifact, "compiler_digest", return_value="another"):
        artifact.save(artifact.with_program(network, program), path)
    return path


@pytest.fixture
def endless(monkeypatch):
    """Hardware that runs until it is told not to go on."""

    def run(machine, program, image, expected, *, progress):
        for cycle in itertools.count():
            progress(cycle)
            time.sleep(0.001)

    monkeypatch.setattr(rtl, "verify_program", run)


@pytest.mark.parametrize("engine", ["cxxrtl", "interpreter"])
def test_with_a_wrong_program_the_hardware_does_not_go_on(
    invoke, compiled, endless, tmp_path, engine
):
    path = save_damaged(compiled, tmp_path / "wrong", Opcode.POST, zero_point=99)
    wanted = ("--engine", engine, "--json", tmp_path / "f.json")
    result = invoke(*wanted, path=path, config=())
    assert result.exit_code == 1, result.output
    figures = json.loads((tmp_path / "f.json").read_text())
    assert (figures["engine"], figures["complete"]) == ("interpreter", engine == "interpreter")
    assert figures["cycles"] is None
    assert figures["mismatches"] == figures["interpreter"]["mismatches"] > 0
    *right, last = figures["layers"]
    assert not any(layer["mismatches"] for layer in right)
    first = last["first"]
    assert first["expected"] != first["got"] and first["cycle"] is None
    y, x, channel = first["where"]
    for part in (
        f"{last['name']}: {last['mismatches']} of {last['values']} values differ",
        f"(y, x, channel) ({y}, {x}, {channel}): expected {first['expected']}, got {first['got']}",
        f"instruction {first['instruction'][0]}: post",
        f"{figures['logits_differ']} logits in memory differ",
    ):
        assert part in result.output, result.output
    assert "--waves" not in result.output
    stopped = "the program is wrong, whatever runs it, so cxxrtl did not go on"
    assert (stopped in result.output) == (engine == "cxxrtl")


def test_what_the_hardware_says_of_a_wrong_program_does_not_count(
    invoke, compiled, monkeypatch, tmp_path
):
    """It may stop, or come to an end, before the interpreter has."""

    def stop(*_, **__):
        raise MachineError(Fault.WATCHDOG, 0)

    path = save_damaged(compiled, tmp_path / "wrong", Opcode.POST, zero_point=99)
    said = []
    for patch in (False, True):
        if patch:
            monkeypatch.setattr(rtl, "verify_program", stop)
        result = invoke("--json", tmp_path / "f.json", path=path, config=())
        assert result.exit_code == 1, result.output
        figures = json.loads((tmp_path / "f.json").read_text())
        assert (figures["engine"], figures["complete"], figures["cycles"]) == (
            "interpreter",
            False,
            None,
        )
        said.append(figures["mismatches"])
    assert said[0] == said[1] > 0


def test_a_program_that_the_machine_refuses(invoke, compiled, endless, tmp_path):
    path = save_damaged(compiled, tmp_path / "wrong", Opcode.CONV, tag=4711)
    result = invoke(path=path, config=())
    assert isinstance(result.exception, DnaError)
    assert re.search(
        r"the machine would refuse the program: instruction \d+ \(CONV of layer \d+\): "
        r"the weights have tag \d+, not 4711",
        str(result.exception),
    )


def test_waves(invoke, tmp_path):
    """By the simulator that shows them without being compiled for minutes."""
    wanted = ("--waves", tmp_path / "w.vcd", "--cycles", "10:30", "--engine", "pysim")
    result = invoke("--layers", "logits", *wanted)
    assert result.exit_code == 0, result.output
    assert "$enddefinitions" in (tmp_path / "w.vcd").read_text()


def test_the_help_says_what_each_engine_is():
    (option,) = (option for option in command.params if option.name == "engine")
    for name in option.type.choices:
        assert re.search(rf"{name}(?: is|:) ", option.help), name


WAVES = ["--waves", "w.vcd", "--cycles", "1:2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layers", "bloc3.conv1"], r"'bloc3\.conv1'.*block3\.conv1"),
        (["--config", "huge"], "no configuration 'huge'; choose one of nano"),
        (WAVES[:2], "go together"),
        (WAVES[2:], "go together"),
        ([*WAVES, "--layers", "block3*"], "matches 4"),
        (["--clock", "100"], "--clock goes with --memory NAME"),
        (["--memory-seed", "1", "--memory", "hbm2-channel"], "leave --memory out"),
        ([*WAVES, "--scheduler", "tcp://a:1"], "leave --scheduler out"),
        (["--workers", "2", "--scheduler", "tcp://a:1"], "cannot be limited to 2"),
        (["--json", "/absent/f.json"], "cannot write /absent/f.json"),
        (["--image", "/absent.jpg"], "/absent.jpg"),
    ],
)
def test_bad_input(invoke, arguments, message):
    result = invoke(*arguments)
    assert isinstance(result.exception, DnaError)
    assert re.search(message, str(result.exception))


@pytest.mark.parametrize("option", [("--workers", 2), ("--scheduler", "tcp://a:1")])
def test_a_whole_program_is_one_run(invoke, compiled, option):
    result = invoke(*option, path=compiled, config=())
    assert "a whole program is one run" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layers", "logits"], "the interpreter runs the whole program .* leave --layers out"),
        (["--memory-seed", "3"], "no cycles and no signals; leave --waves, --cycles, --mem"),
        (["--waves", "w.vcd", "--cycles", "1:2"], "no cycles and no signals; leave --waves"),
        (["--workers", "2"], "a whole program is one run"),
    ],
)
def test_what_the_interpreter_does_not_take(invoke, compiled, arguments, message):
    result = invoke("--engine", "interpreter", *arguments, path=compiled, config=())
    assert isinstance(result.exception, DnaError)
    assert re.search(message, str(result.exception))


def test_the_interpreter_needs_a_program(invoke, network):
    result = invoke("--engine", "interpreter")
    assert isinstance(result.exception, DnaError)
    assert str(result.exception) == (
        "the interpreter runs a compiled program; compile it first: "
        f"`dna compile {network} --config nano -o nano.dna`"
    )


def test_another_machine_than_it_was_compiled_for(invoke, compiled):
    result = invoke(path=compiled, config=("--config", "micro"))
    assert "compiled for nano; compile it for micro" in str(result.exception)


@pytest.mark.parametrize("cycles", ["5", "5:5", "9:3", "a:b", "-1:4", ":"])
def test_bad_cycles(invoke, cycles):
    result = invoke("--waves", "w.vcd", f"--cycles={cycles}")
    assert result.exit_code == 2
    assert "is not a range of cycles" in result.output


@pytest.mark.parametrize(
    ("reason", "exit_code"), [(KeyboardInterrupt(), 130), (DnaError("a process died"), 1)]
)
def test_what_is_done_is_kept(invoke, monkeypatch, tmp_path, reason, exit_code):
    """Exit code 1 is click's runner for an exception; ``dna`` makes it 2."""
    honest = workers.run_tasks

    def failing(function, tasks, **options):
        honest(function, tasks[:2], **options)
        raise reason

    monkeypatch.setattr(workers, "run_tasks", failing)
    result = invoke("--layers", LAYERS, "--workers", 1, "--json", tmp_path / "f.json")
    assert result.exit_code == exit_code
    if exit_code == 1:
        assert result.exception is reason
    assert "2 of 4 layers" in result.output
    figures = json.loads((tmp_path / "f.json").read_text())
    assert figures["complete"] is False
    assert len(figures["layers"]) == 2


def test_importing_it_imports_nothing_heavy():
    assert single_layers.run_layer  # the command imports this module only when it runs
    assert "dna verify micro.dna" in CliRunner().invoke(command, ["--help"]).output


def test_every_value_of_every_image(network, photograph, tmp_path):
    path, figures = tmp_path / "several", tmp_path / "figures.json"
    tiny = artifact.load(network)
    programs = [compile_graph(tiny.graph, NANO, images=count) for count in (1, 3)]
    artifact.save(artifact.with_program(tiny, *programs), path)
    words = [str(path), "--batch", "--image", str(photograph), "--engine", "interpreter"]
    result = CliRunner().invoke(command, [*words, "--json", str(figures)])
    assert result.exit_code == 0, result.output
    said = json.loads(figures.read_text())
    assert (said["images"], said["mismatches"], said["litert_logits_differ"]) == (3, 0, 0)
    assert said["values"] == sum(np.prod(table.shape) for table in programs[1].layers)
    assert "one program of 3 images, interpreted" in result.output
    for more, message in (
        (["--layers", "*"], "--batch is a whole program"),
        (["--image", str(photograph)] * 3, "4 images are too many: it computes 3 at a time"),
    ):
        failed = CliRunner().invoke(command, [*words, *more])
        assert message in str(failed.exception)


def test_a_batch_takes_a_program_of_several_images(compiled, photograph):
    words = [str(compiled), "--batch", "--image", str(photograph)]
    failed = CliRunner().invoke(command, words)
    assert "has only the program of one image" in str(failed.exception)
    failed = CliRunner().invoke(command, [words[0], *(["--image", str(photograph)] * 2)])
    assert "2 images are too many: it computes 1 at a time" in str(failed.exception)
