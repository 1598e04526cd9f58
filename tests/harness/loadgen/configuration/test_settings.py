"""What LoadGen is told."""

import mlperf_loadgen
import pytest

from harness.loadgen.configuration import settings
from harness.loadgen.configuration.benchmarks import YOLO
from sw.errors import DnaError


def test_requirements_are_mlperfs():
    assert settings.requirements("SingleStream") == settings.Requirements(
        duration_ms=600_000, queries=100, samples=1024, photographs=50_000
    )
    assert settings.requirements("Offline") == settings.Requirements(
        duration_ms=600_000, queries=24_576, samples=1024, photographs=50_000
    )
    assert settings.requirements("MultiStream") == settings.Requirements(
        duration_ms=600_000, queries=662, samples=1024, photographs=50_000
    )


def test_requirements_of_yolo_are_mlperfs():
    """64 samples in memory LoadGen knows; 1,525 of an Offline run only the checker's table."""
    for scenario, queries in (("SingleStream", 100), ("MultiStream", 662), ("Offline", 1525)):
        assert settings.requirements(scenario, YOLO) == settings.Requirements(
            duration_ms=600_000, queries=queries, samples=64, photographs=1525
        )
    test = settings.build("Offline", accuracy=False, photographs=1525, benchmark=YOLO)
    assert (test.min_query_count, test.performance_sample_count_override) == (1525, 64)
    options = {"accuracy": False, "photographs": 12, "benchmark": YOLO, "min_duration": 1}
    assert settings.build("Offline", **options).min_query_count == 100


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


@pytest.mark.parametrize("content", [b"\xff\xfe", b"nonsense", b"*.*.mode = x", b"a.b.c 3"])
def test_a_configuration_that_loadgen_would_pass_over(tmp_path, content):
    path = tmp_path / "some.conf"
    path.write_bytes(b"# fine\n\n *.Offline.target_qps = 3\n" + content)
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
