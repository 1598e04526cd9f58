"""A line of a user.conf does what it says, or is refused with its number and what is right."""

import mlperf_loadgen
import pytest

from harness.loadgen.configuration import settings, user_conf
from sw.errors import DnaError

SETTINGS = [name for name in dir(mlperf_loadgen.TestSettings) if not name.startswith("_")]
SETTINGS.remove("FromConfig")


def write(tmp_path, text):
    path = tmp_path / "u.conf"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def taken(path, scenario):
    """LoadGen's settings that a file changes."""
    test = mlperf_loadgen.TestSettings()
    test.FromConfig("", "resnet50", scenario, settings.BUILT_IN)
    before = {name: str(getattr(test, name)) for name in SETTINGS}
    assert test.FromConfig(str(path), "resnet50", scenario, settings.USER) == 0
    return {name for name in SETTINGS if str(getattr(test, name)) != before[name]}


@pytest.mark.parametrize("scenario", user_conf.SCENARIOS)
@pytest.mark.parametrize("key", user_conf.KEYS)
def test_loadgen_takes_a_key_exactly_where_we_do(tmp_path, key, scenario):
    rule = user_conf.KEYS[key]
    value = "1" if rule.most == 1 else "7" if rule.most > 7 else "2"
    path = write(tmp_path, f"resnet50.{scenario}.{key} = {value}\n")
    if rule.audit or scenario not in rule.scenarios:
        assert not taken(path, scenario)
        with pytest.raises(DnaError, match=f"line 1: LoadGen passes over {key}"):
            user_conf.read(path, audit=False)
    else:
        user_conf.read(path, audit=False)
        assert taken(path, scenario)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("resnet50.SingleStream.min_durration = 100", "'min_durration'.*nearest is min_duration"),
        ("resnet50.SingleStream.Min_Duration = 100", "nearest is min_duration"),
        ("resnet50.singlestream.min_duration = 100", "'singlestream'.*nearest is SingleStream"),
        ("resnet50.Singlestream.min_duration = 100", "nearest is SingleStream"),
        ("resnet.SingleStream.min_duration = 100", "'resnet'.*nearest is resnet50"),
        ("ResNet50.SingleStream.min_duration = 100", "nearest is resnet50"),
        ("resnet50-v1.5.SingleStream.min_duration = 100", "nearest is resnet50"),
        ("resnet50.SingleStream.xyzzy = 1", "no key 'xyzzy'.*there are min_duration, "),
        ("resnet50.Offline.target_latency = 5", "passes over target_latency in Offline"),
        ("resnet50.SingleStream.target_qps = 5", "passes over target_qps in SingleStream"),
        ("resnet50.Offline.qsl_rng_seed = 5", "passes over qsl_rng_seed in a user.conf"),
        ("*.*.mode = 2", "passes over mode in a user.conf"),
        ("resnet50.Offline.min_duration = -5", "is -5, .*milliseconds, must be at least 0"),
        ("resnet50.Offline.min_duration = 99999999999999999999", "at most 604800000"),
        ("resnet50.Offline.min_duration = 1e3", "1e3, which LoadGen would misread"),
        ("resnet50.Offline.min_duration = 1.5", "misread; a whole number"),
        ("resnet50.Offline.min_duration = 0x10", "misread"),
        ("resnet50.Offline.min_duration = 010", "misread"),
        ("resnet50.Offline.min_query_count = 1_000", "misread"),
        ("resnet50.Offline.target_qps = nan", "misread"),
        ("resnet50.Offline.target_qps = inf", "misread"),
        ("resnet50.Offline.target_qps = 1e300", "at most 10000000"),
        ("resnet50.Offline.target_qps = 0", "must be above 0"),
        ("resnet50.SingleStream.target_latency = 0.0", "must be above 0"),
        ("resnet50.Offline.min_duration=7", "with spaces around ="),
        ("resnet50.Offline.min_duration =7", "with spaces around ="),
        ("resnet50.Offline.min_duration = 7 # ms", "comments on lines of their own"),
        ("resnet50.Offline.min_duration = 7 8", r"\(line 3, "),
        ("resnet50.Offline.min_duration", r"\(line 3, "),
        ("min_duration = 7", r"\(line 3, "),
        ("*.Offline.max_duration = 9", "line 2 sets .*max_duration, too"),
    ],
)
def test_what_loadgen_would_pass_over_or_misread(tmp_path, line, message):
    path = write(tmp_path, f"# mine\n*.Offline.max_duration = 700000\n{line}\n")
    with pytest.raises(DnaError, match=rf"u.conf.*line 3.*{message}|u.conf.*{message}") as found:
        settings.build("Offline", accuracy=False, photographs=20, user_conf=path)
    assert "line 3" in str(found.value)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks(tmp_path, encoding):
    path = write(tmp_path, "resnet50.Offline.target_qps = 9\n".encode(encoding))
    with pytest.raises(DnaError, match=r"byte order mark|it is not text"):
        user_conf.read(path, audit=False)


def test_what_people_write_is_taken(tmp_path):
    text = (
        "\ufeff"[1:] + "# resnet50.Offline.min_duration=7 is a comment\n\n"
        "bert-99.9.Server.target_qps = 3.5\r\n3d-unet-99.Offline.anything = 1\n"
        "\tresnet50.Offline.target_qps\t=\t1.25e2\r\n*.*.min_query_count = 5000\n"
    )
    path = write(tmp_path, text)
    test = settings.build("Offline", accuracy=False, photographs=20, user_conf=path)
    assert (test.offline_expected_qps, test.min_query_count) == (125, 5000)


@pytest.mark.parametrize(
    ("scenario", "line"),
    [
        ("SingleStream", "SingleStream.target_latency = 0.000001"),
        ("SingleStream", "SingleStream.min_query_count = 10000000"),
        ("MultiStream", "MultiStream.target_latency = 0.01"),
        ("MultiStream", "MultiStream.samples_per_query = 4096"),
        ("Offline", "Offline.target_qps = 1000000"),
        ("Offline", "Offline.min_duration = 604800000"),
    ],
)
def test_loadgen_never_makes_samples_without_bound(tmp_path, scenario, line):
    more = {"SingleStream.min_query_count": "", "Offline.min_duration": "*.Offline.target_qps = 99"}
    extra = more.get(line.split(" ")[0], "")
    if "samples_per_query" in line:
        extra = "*.MultiStream.min_query_count = 5000"
    path = write(tmp_path, f"*.{line}\n{extra}\n")
    test = settings.build(scenario, accuracy=False, photographs=20, user_conf=path)
    if line.endswith("min_query_count = 10000000"):
        settings.expect(test, scenario, 1.0)
        settings.check_size(test, scenario)
        return
    with pytest.raises(DnaError, match=r"LoadGen would make .* samples .* fit into memory"):
        settings.check_size(test, scenario)


@pytest.mark.parametrize("rate", [1e12, float("inf"), float("nan")])
@pytest.mark.parametrize("scenario", ["SingleStream", "MultiStream", "Offline"])
def test_a_speed_that_cannot_be_is_refused(scenario, rate):
    test = settings.build(scenario, accuracy=False, photographs=20)
    settings.expect(test, scenario, rate)
    with pytest.raises(DnaError, match="LoadGen would make"):
        settings.check_size(test, scenario)


def test_ordinary_runs_and_accuracy_runs_are_not_refused():
    for scenario in ("SingleStream", "MultiStream", "Offline"):
        test = settings.build(scenario, accuracy=False, photographs=20)
        settings.expect(test, scenario, 1500.0)
        settings.check_size(test, scenario)
        test = settings.build(scenario, accuracy=True, photographs=20)
        settings.expect(test, scenario, 1e12)
        settings.check_size(test, scenario)


def test_an_audit_config_may_set_more_and_counts_for_the_size(tmp_path):
    path = write(tmp_path, "*.*.mode = 2\n*.*.accuracy_log_probability = 5\n")
    test = settings.build("Offline", accuracy=False, photographs=20)
    settings.seed_as_audited(test, path)
    settings.expect(test, "Offline", 100.0)
    settings.check_size(test, "Offline")
    settings.seed_as_audited(test, write(tmp_path, "*.*.min_duration = 604800000\n"))
    with pytest.raises(DnaError, match="LoadGen would make"):
        settings.check_size(test, "Offline")
    with pytest.raises(DnaError, match=r"line 1: of an audit.config LoadGen reads lines for \*"):
        settings.seed_as_audited(test, write(tmp_path, "resnet50.*.min_duration = 5\n"))
