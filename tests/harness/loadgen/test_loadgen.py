"""LoadGen runs are separate processes, as LoadGen wants it: `python -m harness.cli loadgen ...`."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import mlperf_loadgen
import numpy as np
import pytest

from harness.data.preprocess import load_image
from harness.loadgen import logs, runner, score, settings
from harness.loadgen.qsl import SampleLibrary
from harness.loadgen.sut import SystemUnderTest, answers, measure
from sim.quantization import quantize
from sim.reference import ReferenceModel
from sw import artifact
from sw.errors import DnaError
from tests.support.tiny import CLASSES, save_artifact, save_photographs

PHOTOGRAPHS = 20
COMMAND = [sys.executable, "-m", "harness.cli", "loadgen"]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return save_artifact(tmp_path_factory.mktemp("network") / "tiny")


@pytest.fixture
def data_dir(tmp_path):
    return save_photographs(tmp_path / "photographs", PHOTOGRAPHS)


@pytest.fixture
def dna(tmp_path, network, data_dir):
    """Runs `dna loadgen` in its own folder: (exit code, figures or None, stdout, stderr)."""

    def run(*options, check=0):
        done = subprocess.run(
            [*COMMAND, str(network), "--data-dir", data_dir, "--json", "figures.json", *options],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == check, done.stdout + done.stderr
        file = tmp_path / "figures.json"
        figures = json.loads(file.read_text()) if file.is_file() else None
        return figures, done.stdout, done.stderr

    return run


def interrupt(command, folder, env):
    """Run ``command``, which logs to ``logs`` in ``folder``, and press Ctrl-C in the test."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not list(folder.glob(f"logs/.unfinished-*/{logs.DETAIL}")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    return stdout, stderr


def environment():
    root = str(pathlib.Path(__file__).parents[3])
    clean = {name: value for name, value in os.environ.items() if name != "DATA_DIR"}
    return {**clean, "PYTHONPATH": root}


def one_line_error(stderr: str) -> str:
    """The error line; LiteRT may have said something before it."""
    assert "Traceback" not in stderr
    return next(line for line in stderr.splitlines() if line.startswith("error: "))


def expected_classes(network, data_dir) -> list[int]:
    """What the plain reference sees in the photographs."""
    loaded = artifact.load(network)
    source = loaded.manifest.input
    paths = [data_dir / f"{number}.jpg" for number in range(PHOTOGRAPHS)]
    images = np.stack([quantize(load_image(path, "caffe"), source) for path in paths])
    return ReferenceModel(loaded.graph).run(images).argmax(axis=1).tolist()


@pytest.mark.parametrize("scenario", ["SingleStream", "Offline"])
def test_short_performance_run(dna, tmp_path, scenario):
    figures, stdout, _ = dna("--scenario", scenario, "--min-duration", "1", "-o", "logs")
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == sorted(logs.LOGS)
    summary = (tmp_path / "logs" / logs.SUMMARY).read_text()
    assert "Result is : VALID" in summary
    assert f"Scenario : {scenario}" in summary
    assert figures["valid"] is True
    assert figures["scenario"] == scenario
    assert (figures["mode"], figures["timing"]) == ("performance", "host")
    assert figures["loadgen"] == "6.0.17"
    assert 20 < figures["peak_memory_mib"] < 20_000
    assert figures["errors"] == []
    assert figures["top1"] is None

    said = dict(line.split(":", 1) for line in summary.splitlines() if ":" in line)
    said = {key.strip(): value.strip() for key, value in said.items()}
    assert figures["p90_ms"] == int(said["90.00 percentile latency (ns)"]) / 1e6
    assert figures["mean_ms"] == int(said["Mean latency (ns)"]) / 1e6
    if scenario == "Offline":
        assert figures["qps"] == pytest.approx(float(said["Samples per second"]), 1e-4)
        assert figures["images"] == int(said["samples_per_query"])
    else:
        assert figures["qps"] == pytest.approx(float(said["QPS w/o loadgen overhead"]), 1e-4)
        assert figures["p90_ms"] < 1000
    assert figures["seconds"] >= 1

    assert figures["full_length"] is False
    assert "Shorter than MLPerf asks" in stdout
    assert "1 of 600 seconds" in stdout
    assert figures["samples"] == PHOTOGRAPHS
    assert f"{PHOTOGRAPHS} of 1024 photographs in memory" in figures["shortfalls"]


@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Offline"])
def test_accuracy_run(dna, network, data_dir, tmp_path, scenario):
    """Seven photographs in memory at a time: three sets are loaded, run and let go."""
    expected = expected_classes(network, data_dir)
    labels = [*expected[:13], *((label + 1) % CLASSES for label in expected[13:])]
    lines = [f"{number}.jpg {label}\n" for number, label in enumerate(labels)]
    (data_dir / "val_map.txt").write_text("".join(lines))

    figures, stdout, _ = dna("--scenario", scenario, "--accuracy", "--samples", "7", "-o", "logs")
    assert figures["top1"] == 13 / PHOTOGRAPHS
    assert figures["images"] == PHOTOGRAPHS
    assert figures["mode"] == "accuracy"
    assert figures["valid"] is True
    assert figures["p90_ms"] is None
    assert "20 of 50000 photographs" in stdout
    assert (tmp_path / "logs" / logs.DETAIL).read_text().count('"key": "loaded_qsl_set"') == 3
    entries = json.loads((tmp_path / "logs" / logs.ACCURACY).read_text())
    found = {
        entry["qsl_idx"]: np.frombuffer(bytes.fromhex(entry["data"]), np.float32).tolist()
        for entry in entries
    }
    assert found == {number: [float(label)] for number, label in enumerate(expected)}


def test_count_takes_the_first_photographs(dna):
    figures, _, _ = dna("--scenario", "Offline", "--accuracy", "--count", "3")
    assert figures["images"] == 3


def test_default_output_is_a_new_folder_and_a_finished_one_is_kept(dna, tmp_path):
    options = ("--scenario", "Offline", "--accuracy")
    first, _, _ = dna(*options)
    second, _, _ = dna(*options)
    assert first["output"] == "build/loadgen/Offline/accuracy/run_1"
    assert second["output"] == "build/loadgen/Offline/accuracy/run_2"
    _, _, stderr = dna(*options, "-o", first["output"], check=2)
    assert "run_1 holds the logs of another test" in one_line_error(stderr)


def test_user_conf_is_honoured_and_an_invalid_run_exits_1(dna, tmp_path):
    """A latency of a second is announced; the queries made for it are gone in a moment."""
    (tmp_path / "user.conf").write_text(
        "# for this machine\n"
        "resnet50.SingleStream.target_latency = 1000\n"
        "resnet50.SingleStream.min_duration = 30000\n"
        "*.SingleStream.performance_sample_count_override = 9\n"
    )
    figures, stdout, _ = dna("--scenario", "SingleStream", "--user-conf", "user.conf", check=1)
    assert figures["valid"] is False
    assert "INVALID" in stdout
    assert figures["samples"] == 9
    assert "30 of 600 seconds" in stdout
    assert any("Ran out of generated queries" in error for error in figures["errors"])


def test_audit_config_of_the_working_directory_shows_in_the_figures(dna, tmp_path):
    (tmp_path / "audit.config").write_text("*.SingleStream.performance_sample_count_override = 4\n")
    figures, _, _ = dna("--scenario", "SingleStream", "--min-duration", "0.2")
    assert figures["samples"] == 4


@pytest.mark.parametrize("scenario", ["SingleStream", "Offline"])
def test_interrupt_ends_it_promptly_and_leaves_nothing(tmp_path, network, data_dir, scenario):
    """A run of 600 s; the speeds announced keep the work of making queries small."""
    (tmp_path / "user.conf").write_text(
        "*.SingleStream.target_latency = 20\n*.Offline.target_qps = 99\n"
    )
    options = ("--user-conf", "user.conf", "-o", "logs")
    stdout, stderr = interrupt(
        [*COMMAND, network, "--scenario", scenario, "--data-dir", data_dir, *options],
        tmp_path,
        environment(),
    )
    assert "interrupted" in stderr
    assert "Traceback" not in stderr
    assert "VALID" not in stdout
    assert not (tmp_path / "logs").exists()


def test_bad_photographs_are_found_before_the_work(dna, data_dir, tmp_path):
    (data_dir / "5.jpg").write_text("no photograph")
    _, _, stderr = dna("--scenario", "Offline", "--accuracy", "-o", "logs", check=2)
    assert "5.jpg is not an image" in one_line_error(stderr)
    (data_dir / "5.jpg").unlink()
    _, _, stderr = dna("--scenario", "Offline", "--accuracy", "-o", "logs", check=2)
    assert "val_map.txt line 6: no file 5.jpg" in one_line_error(stderr)
    assert not (tmp_path / "logs").exists()


def test_a_photograph_damaged_behind_its_header_ends_the_test(dna, data_dir, tmp_path):
    data = (data_dir / "5.jpg").read_bytes()
    (data_dir / "5.jpg").write_bytes(data[: len(data) // 2])
    for scenario in ("SingleStream", "Offline"):
        options = ("--scenario", scenario, "--min-duration", "1", "-o", "logs")
        _, _, stderr = dna(*options, check=2)
        assert "cannot read image" in one_line_error(stderr)
        assert "5.jpg" in one_line_error(stderr)
        assert not (tmp_path / "logs").exists()


def test_labels_that_the_network_does_not_know(dna, data_dir):
    (data_dir / "val_map.txt").write_text("0.jpg 3\n1.jpg 10\n")
    _, _, stderr = dna("--scenario", "Offline", "--accuracy", check=2)
    assert "val_map.txt line 2 has label 10, of 10 classes" in one_line_error(stderr)
    (data_dir / "val_map.txt").write_text("0.jpg\n1.jpg\n")
    _, _, stderr = dna("--scenario", "Offline", "--accuracy", check=2)
    assert "val_map.txt line 1 has no label" in one_line_error(stderr)


def test_other_bad_input(dna, tmp_path):
    scenario = ("--scenario", "Offline")
    _, _, stderr = dna(*scenario, "--samples", "21", check=2)
    assert "--samples 21: there are only 20 photographs" in one_line_error(stderr)
    _, _, stderr = dna(*scenario, "--user-conf", "absent.conf", check=2)
    assert "cannot read absent.conf: No such file" in one_line_error(stderr)
    (tmp_path / "user.conf").write_text("resnet50.Offline.target_qps = fast\n")
    _, _, stderr = dna(*scenario, "--user-conf", "user.conf", check=2)
    assert "user.conf is not a LoadGen configuration" in one_line_error(stderr)
    (tmp_path / "file").write_text("")
    _, _, stderr = dna(*scenario, "-o", "file/logs", check=2)
    assert "cannot write file/logs" in one_line_error(stderr)


def test_requirements_are_mlperfs():
    assert settings.requirements("SingleStream") == settings.Requirements(
        duration_ms=600_000, queries=100, samples=1024
    )
    assert settings.requirements("Offline") == settings.Requirements(
        duration_ms=600_000, queries=24_576, samples=1024
    )
    assert settings.requirements("MultiStream") == settings.Requirements(
        duration_ms=600_000, queries=662, samples=1024
    )


def test_default_settings_are_mlperfs():
    test = settings.build("Offline", accuracy=False, photographs=50_000)
    assert test.min_duration_ms == 600_000
    assert test.min_query_count == 24_576
    assert test.performance_sample_count_override == 1024
    assert test.qsl_rng_seed != 0
    assert test.mode == mlperf_loadgen.TestMode.PerformanceOnly
    assert not settings.is_expected(test, "Offline")
    settings.expect(test, "Offline", 100.0)
    assert test.offline_expected_qps == pytest.approx(110)


def test_multistream(dna, tmp_path):
    """A query has eight photographs and its latency is that of all of them."""
    figures, _, _ = dna("--scenario", "MultiStream", "--min-duration", "1", "-o", "logs")
    assert figures["valid"] is True
    assert figures["images"] >= 8 * 662
    said = (tmp_path / "logs" / logs.SUMMARY).read_text()
    assert f"99.0th percentile latency (ns) : {round(figures['p99_ms'] * 1e6)}" in said
    assert figures["qps"] == pytest.approx(8000 / figures["mean_ms"])
    assert "1 of 600 seconds" in figures["shortfalls"]
    assert not any("queries" in shortfall for shortfall in figures["shortfalls"])


def test_shorter_and_smaller_settings():
    test = settings.build("Offline", accuracy=True, photographs=20, min_duration=1.5)
    assert test.min_duration_ms == 1500
    assert test.min_query_count == 100
    assert test.performance_sample_count_override == 20
    assert test.mode == mlperf_loadgen.TestMode.AccuracyOnly
    longer = settings.build("Offline", accuracy=False, photographs=20, min_duration=700)
    assert longer.min_query_count == 24_576
    single = settings.build("SingleStream", accuracy=False, photographs=20, samples=5)
    assert single.performance_sample_count_override == 5
    settings.expect(single, "SingleStream", 200.0)
    assert single.single_stream_expected_latency_ns == 5e6
    multi = settings.build("MultiStream", accuracy=False, photographs=20, min_duration=1)
    assert multi.min_query_count == 662
    settings.expect(multi, "MultiStream", 200.0)
    assert multi.multi_stream_expected_latency_ns == 40e6


def test_user_conf_settings(tmp_path):
    conf = tmp_path / "user.conf"
    conf.write_text(
        "resnet50.Offline.target_qps = 321.5\n"
        "resnet50.Offline.min_query_count = 5000\n"
        "resnet50.Offline.min_duration = 60000\n"
    )
    options = {"accuracy": False, "photographs": 2000, "user_conf": conf}
    test = settings.build("Offline", **options)
    assert settings.is_expected(test, "Offline")
    assert test.offline_expected_qps == 321.5
    assert (test.min_duration_ms, test.min_query_count) == (60_000, 5000)
    assert test.performance_sample_count_override == 1024
    shorter = settings.build("Offline", **options, min_duration=3)
    assert (shorter.min_duration_ms, shorter.min_query_count) == (3000, 5000)


def test_seeds_of_a_round_and_of_a_compliance_test(tmp_path):
    test = settings.build("Offline", accuracy=False, photographs=20)
    built_in = test.qsl_rng_seed
    settings.seed(test, None)
    assert test.qsl_rng_seed == built_in
    settings.seed(test, "v1.1")
    assert test.qsl_rng_seed == 1624344308455410291
    assert test.sample_index_rng_seed == 517984244576520566
    assert test.schedule_rng_seed == 10051496985653635065
    (tmp_path / "audit.config").write_text("*.*.mode = 2\n*.*.schedule_rng_seed = 7\n")
    settings.seed_as_audited(test, tmp_path / "audit.config")
    assert (test.qsl_rng_seed, test.schedule_rng_seed) == (1624344308455410291, 7)
    settings.seed_as_audited(test, tmp_path / "absent")
    with pytest.raises(DnaError, match=r"no seeds are known for round 'v0.5', only for v1.1"):
        settings.seed(test, "v0.5")


def test_a_named_audit_config_counts(dna, tmp_path):
    (tmp_path / "test05").write_text("*.*.qsl_rng_seed = 5\n")
    options = ("--scenario", "Offline", "--min-duration", "0.2", "-o", "logs")
    dna(*options, "--audit-config", "test05", "--round", "v1.1")
    detail = logs.Detail(tmp_path / "logs")
    assert detail["effective_qsl_rng_seed"] == 5
    assert detail["effective_schedule_rng_seed"] == 10051496985653635065
    _, _, stderr = dna(*options, "--audit-config", "absent", check=2)
    assert "cannot read absent: there is no such file" in one_line_error(stderr)


def test_answers_take_the_lowest_of_equal_logits():
    logits = np.array([[1, 5, 5], [-128, -128, -128], [0, 1, 2]], np.int8)
    assert answers(logits).tolist() == [1, 0, 2]
    assert answers(logits).dtype == np.float32


def test_measure_counts_what_several_models_do():
    def model(batch):
        time.sleep(0.01)
        return batch

    image = np.zeros((2, 2, 3), np.int8)
    one = measure([model], image, 0.2)
    three = measure([model] * 3, image, 0.2)
    assert 0 < one <= 100
    assert one < three <= 300


def test_sample_library_loads_and_unloads(tmp_path):
    read = []

    def load(path):
        read.append(path)
        return np.full((2, 2, 3), int(path.name), np.int8)

    library = SampleLibrary([tmp_path / str(number) for number in range(5)], load, cpus=2)
    assert library.samples == {}
    library.load([4, 1])
    assert sorted(library.samples) == [1, 4]
    assert library.samples[4][0, 0, 0] == 4
    assert library.loaded == 2
    library.unload([4])
    assert sorted(library.samples) == [1]
    library.stop()
    library.load([0, 2])
    assert len(read) == 2


@pytest.mark.parametrize("models", [1, 2])
def test_a_failing_model_ends_the_test_with_its_error(tmp_path, models):
    def broken(batch):
        raise DnaError("the model is broken")

    def load(path):
        return np.zeros((2, 2, 3), np.int8)

    scenario = "SingleStream" if models == 1 else "Offline"
    test = settings.build(scenario, accuracy=False, photographs=4, min_duration=5)
    settings.expect(test, scenario, 1000.0)
    library = SampleLibrary([tmp_path] * 4, load, cpus=1)
    system = SystemUnderTest(library, [broken] * models)
    ticks = []
    with pytest.raises(DnaError, match="the model is broken"):
        runner.run(test, library, system, tmp_path, lambda: ticks.append(None))
    assert list(tmp_path.iterdir()) == []
    assert system.completed > 0
    assert library.samples == {}


def write_detail(folder, **values):
    lines = [
        f":::MLLOG {json.dumps({'key': key, 'value': value, 'metadata': {'is_error': False}})}\n"
        for key, value in values.items()
    ]
    (folder / logs.DETAIL).write_text("".join(lines))


FULL = {
    "effective_test_mode": "PerformanceOnly",
    "effective_scenario": "SingleStream",
    "effective_samples_per_query": 1,
    "effective_min_query_count": 100,
    "effective_min_duration_ms": 600_000,
    "effective_performance_sample_count": 1024,
    "result_validity": "VALID",
    "result_query_count": 30_000,
    "result_qps_with_loadgen_overhead": 49.0,
    "result_qps_without_loadgen_overhead": 50.0,
    "result_90.00_percentile_latency_ns": 22_000_000,
    "result_99.00_percentile_latency_ns": 23_000_000,
    "result_mean_latency_ns": 20_000_000,
}


def read_score(folder, **changes):
    write_detail(folder, **{**FULL, **changes})
    return score.read(folder, [], settings.requirements("SingleStream"), 1.0)


def test_score_of_a_full_length_run(tmp_path):
    full = read_score(tmp_path)
    assert full.full_length is True
    assert full.shortfalls == []
    assert (full.p90_ms, full.p99_ms, full.mean_ms, full.qps) == (22.0, 23.0, 20.0, 50.0)
    assert full.merit == 22.0
    assert full.images == 30_000


def test_fewer_photographs_are_said_but_do_not_make_a_run_short(tmp_path):
    small = read_score(tmp_path, effective_performance_sample_count=20)
    assert small.full_length is True
    assert small.shortfalls == ["20 of 1024 photographs in memory"]
    short = read_score(tmp_path, effective_min_query_count=99)
    assert short.full_length is False
    assert short.shortfalls == ["99 of 100 queries"]
    assert read_score(tmp_path, result_validity="INVALID").valid is False


def write_answers(folder, *pairs):
    entries = [
        {"seq_id": number, "qsl_idx": index, "data": np.float32(label).tobytes().hex().upper()}
        for number, (index, label) in enumerate(pairs)
    ]
    (folder / logs.ACCURACY).write_text(json.dumps(entries))


def test_a_photograph_without_an_answer_makes_accuracy_incomplete(tmp_path):
    write_detail(tmp_path, **{**FULL, "effective_test_mode": "AccuracyOnly"})
    write_answers(tmp_path, (1, 7), (1, 7))
    result = score.read(tmp_path, [3, 7], settings.requirements("SingleStream"), 1.0)
    assert (result.images, result.valid, result.top1) == (1, False, 1.0)
    write_answers(tmp_path)
    result = score.read(tmp_path, [3, 7], settings.requirements("SingleStream"), 1.0)
    assert (result.images, result.valid, result.top1) == (0, False, 0.0)


def test_of_two_answers_the_first_counts(tmp_path):
    """So it is in MLPerf's script, which reads the same log."""
    write_detail(tmp_path, **{**FULL, "effective_test_mode": "AccuracyOnly"})
    write_answers(tmp_path, (1, 7), (0, 2), (1, 6), (0, 3))
    result = score.read(tmp_path, [3, 7], settings.requirements("SingleStream"), 1.0)
    assert (result.images, result.valid, result.top1) == (2, True, 0.5)


def test_a_log_that_is_cut_short_is_said(tmp_path):
    required = settings.requirements("SingleStream")
    write_detail(tmp_path, effective_test_mode="PerformanceOnly")
    with pytest.raises(DnaError, match=r"detail.txt has no effective_scenario: it was cut short"):
        score.read(tmp_path, [], required, 1.0)
    for content in (b":::MLLOG {", b":::MLLOG null\n", b":::MLLOG 5\n", b"\xff"):
        (tmp_path / logs.DETAIL).write_bytes(content)
        with pytest.raises(DnaError, match="has no LoadGen logs that can be read"):
            logs.Detail(tmp_path)
    write_detail(tmp_path, **{**FULL, "effective_test_mode": "AccuracyOnly"})
    for content, message in (
        ("", "cannot read"),
        ('[{"qsl_idx": 1, "da', "cannot read"),
        ("[1]", "cannot read"),
        ('[{"qsl_idx": 1, "data": "00"}]', "the answer '00' of sample 1 is no float32"),
        ('[{"qsl_idx": 1, "data": ""}]', "of sample 1 is no float32"),
        ('[{"qsl_idx": 1, "data": "0000C07F"}]', "of sample 1 is no float32"),
    ):
        (tmp_path / logs.ACCURACY).write_text(content)
        with pytest.raises(DnaError, match=message):
            score.read(tmp_path, [3, 7], required, 1.0)
    (tmp_path / logs.DETAIL).unlink()
    with pytest.raises(DnaError, match="No such file"):
        logs.Detail(tmp_path)


def test_a_single_query_has_no_rate(tmp_path):
    changes = {"result_qps_with_loadgen_overhead": 0, "result_query_count": 1}
    single = read_score(tmp_path, **changes)
    assert (single.images, single.seconds) == (1, 1.0)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"nonsense", b"*.*.mode = x", b"a.b.c 3"])
def test_a_configuration_that_loadgen_would_pass_over(tmp_path, content):
    path = tmp_path / "some.conf"
    path.write_bytes(b"# fine\n\n 3d-unet-99.9.Offline.target_qps=3 # fine, too\n" + content)
    message = r"some.conf(: it is not text| is not a LoadGen configuration)"
    test = settings.build("Offline", accuracy=False, photographs=20)
    with pytest.raises(DnaError, match=message):
        settings.seed_as_audited(test, path)
    with pytest.raises(DnaError, match=message):
        settings.build("Offline", accuracy=False, photographs=20, user_conf=path)


def test_settings_that_would_never_end(tmp_path):
    path = tmp_path / "user.conf"
    for scenario, line, message in (
        ("SingleStream", "target_latency = 0", "target_latency, in milliseconds, must be above"),
        ("MultiStream", "target_latency = 0", "target_latency, in milliseconds, must be above"),
        ("MultiStream", "samples_per_query = 0", "samples_per_query must be at least 1"),
    ):
        path.write_text(f"*.{scenario}.{line}\n")
        with pytest.raises(DnaError, match=message):
            settings.build(scenario, accuracy=False, photographs=20, user_conf=path)
    path.write_text(f"*.*.qsl_rng_seed = {2**64}\n")
    test = settings.build("Offline", accuracy=False, photographs=20)
    with pytest.raises(DnaError, match="qsl_rng_seed is 18446744073709551616, above"):
        settings.seed_as_audited(test, path)


def test_logs_appear_finished_and_replace_none(tmp_path):
    """``finish`` gets them first; where others are by then, those stay."""

    def finish(folder):
        (folder / logs.SUMMARY).write_text("finished")
        assert not (tmp_path / logs.SUMMARY).exists()

    def too_late(folder):
        (tmp_path / logs.DETAIL).write_text("of another test")

    def full(folder):
        raise DnaError("cannot write the logs")

    def run(finish):
        test = settings.build("Offline", accuracy=True, photographs=4)
        library = SampleLibrary([tmp_path] * 4, lambda path: np.zeros((2, 2, 3), np.int8), cpus=1)
        system = SystemUnderTest(library, [lambda batch: batch.reshape(1, -1)])
        runner.run(test, library, system, tmp_path, lambda: None, finish=finish)

    with pytest.raises(DnaError, match="cannot write the logs"):
        run(full)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DnaError, match="another test has written its logs to"):
        run(too_late)
    assert [path.name for path in tmp_path.iterdir()] == [logs.DETAIL]
    (tmp_path / logs.DETAIL).unlink()
    run(finish)
    assert (tmp_path / logs.SUMMARY).read_text() == "finished"


def test_a_photograph_counts_once(dna, data_dir):
    (data_dir / "val_map.txt").write_text("0.jpg 3\n1.jpg 2\n0.jpg 3\n")
    _, _, stderr = dna("--scenario", "Offline", "--accuracy", check=2)
    assert "val_map.txt line 3 has 0.jpg again, as in line 1" in one_line_error(stderr)
