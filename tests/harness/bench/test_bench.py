"""The peers compute the same network, and ``dna bench`` says what it measured."""

import json
import os

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from harness.bench import limits, measure, onnx_qdq
from harness.bench.contenders import CONTENDERS, Session, joined
from harness.bench.worker import started
from harness.commands.run.bench import command
from sim.functional.isa import ISAS, available
from sim.reference import ReferenceModel
from sw import artifact
from sw.errors import DnaError
from sw.operations import Padding
from tests import skips
from tests.support.graphs import gated_graph, random_image, random_small_graph

VARIANTS = [
    (contender, variant) for contender, variants in CONTENDERS.items() for variant in variants
]


def steps_off(contender):
    """Peers round elsewhere: a step here and there, more than that is another network."""
    return 0 if contender in ("functional", "litert") else 3


@pytest.fixture(scope="module")
def graph():
    rng = np.random.default_rng(6)
    return random_small_graph(rng, (24, 24, 3), padding=Padding(1, 1, 1, 1))


@pytest.fixture(scope="module")
def folder(graph, tmp_path_factory):
    path = tmp_path_factory.mktemp("artifact") / "small"
    made = artifact.make(
        graph,
        model="small",
        framework="none",
        preprocessing="caffe",
        class_names=[f"class {i}" for i in range(10)],
    )
    artifact.save(made, path)
    return path


@pytest.mark.parametrize(("contender", "variant"), VARIANTS, ids=lambda name: name or "only")
def test_every_contender_computes_the_same_network(contender, variant, graph):
    if contender == "torch":
        torch = pytest.importorskip("torch", reason=skips.not_installed("quantize"))
        if variant.split()[0] not in torch.backends.quantized.supported_engines:
            pytest.skip(f"this PyTorch has no {variant}")
    session = CONTENDERS[contender][variant](graph, 1)
    reference = ReferenceModel(graph)
    rng = np.random.default_rng(7)
    for _ in range(3):
        image = random_image(rng, graph)
        got = session.decode(session.infer(session.prepare(image)))
        expected = reference.run(image[None])[0]
        assert got.dtype == np.int8 and got.shape == expected.shape
        assert np.abs(got.astype(int) - expected).max() <= steps_off(contender)


@pytest.mark.parametrize("contender", ["functional", "openvino", "onnxruntime", "litert"])
def test_detectors_are_the_same_network(contender):
    """Gates, joins, slices, depthwise convolutions, pools, resizes, and two maps as outputs."""
    rng = np.random.default_rng(8)
    graph = gated_graph(rng, (16, 12, 3))
    reference = ReferenceModel(graph)
    for variant in CONTENDERS[contender]:
        session = CONTENDERS[contender][variant](graph, 1)
        image = random_image(rng, graph)
        got = session.decode(session.infer(session.prepare(image)))
        values = reference.run_all(image)
        expected = joined(values[name] for name in graph.outputs)
        assert np.abs(got.astype(int) - expected).max() <= steps_off(contender)
        assert np.corrcoef(got, expected)[0, 1] > 0.99


@skips.needs_torch
def test_peers_that_cannot_run_a_network_are_named(tmp_path):
    graph = gated_graph(np.random.default_rng(8), (16, 12, 3))
    made = artifact.make(
        graph, model="gated", framework="none", preprocessing="caffe", class_names=None
    )
    artifact.save(made, tmp_path / "gated")
    written = tmp_path / "bench.json"
    arguments = [str(tmp_path / "gated"), "--rounds", "1", "--threads", "1"]
    result = CliRunner().invoke(
        command, [*arguments, "--json", str(written)], catch_exceptions=False
    )
    assert result.exit_code == 0 and "torch cannot run it: " in result.output
    figures = json.loads(written.read_text())
    assert set(figures["cannot_run"]) == {"torch"} and "torch" not in figures["images_per_s"]["1"]
    assert figures["details"]["1"]["functional"]["top1_agreement"] is None
    assert figures["mismatches"] == 0


def test_subsampling_replaces_the_strides_of_1x1_convolutions(graph):
    def strides(subsample):
        model = onnx.load_from_string(onnx_qdq.emit(graph, signed=False, subsample=subsample))
        return [
            tuple(attribute.ints)
            for node in model.graph.node
            if node.op_type == "Conv" and node.name.startswith("block")
            for attribute in node.attribute
            if attribute.name == "strides"
        ]

    assert (2, 2) in strides(False)
    assert (2, 2) not in strides(True)


def test_bits_are_counted(graph):
    images = measure.noise(graph, 2)
    assert images.dtype == np.int8 and images.std() > 20
    logits, bits = measure.check_bits(graph, images, lambda text: None)
    values = sum(int(np.prod(tensor.shape)) for tensor in graph.tensors.values())
    assert bits == (2 * values, 0)
    assert (logits == ReferenceModel(graph).run(images)).all()


def test_a_wrong_bit_is_counted(graph, monkeypatch):
    honest = measure.FunctionalModel.run_all

    def off_by_one(self, image):
        values = honest(self, image)
        values["conv1"] = values["conv1"].copy()
        values["conv1"].flat[0] ^= 1
        return values

    monkeypatch.setattr(measure.FunctionalModel, "run_all", off_by_one)
    _, bits = measure.check_bits(graph, measure.noise(graph, 2), lambda text: None)
    assert bits.mismatches == 2


def test_a_contender_that_cannot_load_says_why(folder, monkeypatch):
    with (
        pytest.raises(DnaError, match=r"torch nonsense: KeyError"),
        started(folder, "torch", "nonsense", 1),
    ):
        pass


@skips.needs_torch
def test_command(folder, tmp_path):
    figures = tmp_path / "bench.json"
    arguments = [str(folder), "--rounds", "2", "--threads", "1", "--json", str(figures)]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    written = json.loads(figures.read_text())
    assert set(written["images_per_s"]["1"]) == set(CONTENDERS)
    assert all(speed > 0 for speed in written["images_per_s"]["1"].values())
    assert set(written["versions"]) == set(CONTENDERS)
    assert written["mismatches"] == 0 and written["values"] > 1000
    peer = written["best_peer"]["1"]
    speeds = written["images_per_s"]["1"]
    assert peer != "functional" and speeds[peer] == max(
        speed for contender, speed in speeds.items() if contender != "functional"
    )
    assert written["ratio"]["1"] == speeds["functional"] / speeds[peer]
    assert written["details"]["1"]["functional"]["differing"] == 0
    assert f"{written['values']:,} values compared, 0 differ" in result.output


@skips.needs_torch
@pytest.mark.skipif("avx2" not in {isa.name for isa in available()}, reason=skips.KERNELS)
def test_engines_are_held_to_an_instruction_set(folder, tmp_path):
    """Their own records name AVX2 and nothing newer; those that cannot be limited are no peers."""
    written = tmp_path / "bench.json"
    arguments = [str(folder), "--rounds", "1", "--threads", "1", "--isa", "avx2"]
    result = CliRunner().invoke(
        command, [*arguments, "--json", str(written)], catch_exceptions=False
    )
    assert result.exit_code == 0
    figures = json.loads(written.read_text())
    details = figures["details"]["1"]
    assert {name for name, each in details.items() if each["limited"]} == set(limits.LIMITED)
    for name in limits.LIMITED:
        text = " ".join(details[name]["kernels"])
        assert "avx2" in text and "512" not in text and "vnni" not in text, name
    assert details["functional"]["exact"] and details["litert"]["exact"]
    assert all(each["share_of_peak"] > 0 for each in details.values())
    assert details["functional"]["share_of_peak"] <= 1
    assert figures["isa"] == "avx2"
    peer = figures["best_peer"]["1"]
    assert peer is None or (details[peer]["limited"] and details[peer]["exact"])
    assert (figures["ratio"]["1"] is None) == (peer is None)
    assert "cannot be limited" in result.output


def test_an_instruction_set_that_this_cpu_does_not_have(folder, monkeypatch):
    monkeypatch.setattr(limits, "available", tuple)
    with (
        pytest.raises(DnaError, match="--isa avx2: this CPU has none of them"),
        limits.held("avx2"),
    ):
        pass


def test_a_limit_ends_where_it_was_asked_for(monkeypatch):
    monkeypatch.setattr(limits, "available", lambda: ISAS)
    monkeypatch.setenv("DNA_ISA", "none")
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    with limits.held("avx2"):
        assert (os.environ["DNA_ISA"], os.environ["ONEDNN_MAX_CPU_ISA"]) == ("avx2", "AVX2")
    assert os.environ["DNA_ISA"] == "none" and "ONEDNN_MAX_CPU_ISA" not in os.environ


def test_the_probe_tells_who_saturates():
    """Pairs of products cut off at 16 bits, as vpmaddubsw does, are found out."""

    def cut_off(graph, threads):
        right = ReferenceModel(graph)
        return Session(
            lambda image: image,
            lambda image: right.run(image[None])[0] // 2,
            lambda logits: logits,
        )

    assert limits.exact(CONTENDERS["functional"][""])
    assert not limits.exact(cut_off)


@pytest.mark.parametrize("threads", ["0", "", "one", "1,-2", "1;2"])
def test_thread_counts_that_are_none(folder, threads):
    result = CliRunner().invoke(command, [str(folder), "--threads", threads])
    assert result.exit_code == 2
    assert "is not a list of thread counts such as 1,2" in result.output


@skips.needs_torch
def test_more_threads_than_processors(folder):
    with pytest.raises(DnaError, match="--threads 4096 is more than the"):
        command.main([str(folder), "--threads", "4096"], standalone_mode=False)


@skips.needs_torch
def test_output_is_checked_before_the_work(folder, tmp_path):
    with pytest.raises(DnaError, match="cannot write"):
        command.main(
            [str(folder), "--json", str(tmp_path / "absent" / "x.json")], standalone_mode=False
        )


@skips.needs_torch
def test_a_missing_artifact(tmp_path):
    with pytest.raises(DnaError, match="is not an artifact"):
        command.main([str(tmp_path / "absent")], standalone_mode=False)
