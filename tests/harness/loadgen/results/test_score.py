"""The outcome of a test, read from LoadGen's logs."""

import json
from pathlib import Path

import numpy as np
import pytest

from harness.loadgen import logs
from harness.loadgen.configuration import settings
from harness.loadgen.results import score
from harness.loadgen.systems.photographs import Photographs
from harness.loadgen.systems.tasks import Classes
from sw.errors import DnaError


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


def classes(*labels):
    """A task with photographs of these classes; no network answers here."""
    return Classes(None, Photographs([Path(str(label)) for label in labels], list(labels)))


def read_score(folder, **changes):
    write_detail(folder, **{**FULL, **changes})
    return score.read(folder, classes(), settings.requirements("SingleStream"), 1.0)


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
    result = score.read(tmp_path, classes(3, 7), settings.requirements("SingleStream"), 1.0)
    assert (result.images, result.valid, result.top1) == (1, False, 1.0)
    write_answers(tmp_path)
    result = score.read(tmp_path, classes(3, 7), settings.requirements("SingleStream"), 1.0)
    assert (result.images, result.valid, result.top1) == (0, False, 0.0)


def test_of_two_answers_the_first_counts(tmp_path):
    """So it is in MLPerf's script, which reads the same log."""
    write_detail(tmp_path, **{**FULL, "effective_test_mode": "AccuracyOnly"})
    write_answers(tmp_path, (1, 7), (0, 2), (1, 6), (0, 3))
    result = score.read(tmp_path, classes(3, 7), settings.requirements("SingleStream"), 1.0)
    assert (result.images, result.valid, result.top1) == (2, True, 0.5)


def test_a_log_that_is_cut_short_is_said(tmp_path):
    required = settings.requirements("SingleStream")
    write_detail(tmp_path, effective_test_mode="PerformanceOnly")
    with pytest.raises(DnaError, match=r"detail.txt has no effective_scenario: it was cut short"):
        score.read(tmp_path, classes(), required, 1.0)
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
            score.read(tmp_path, classes(3, 7), required, 1.0)
    (tmp_path / logs.DETAIL).unlink()
    with pytest.raises(DnaError, match="No such file"):
        logs.Detail(tmp_path)


def test_a_single_query_has_no_rate(tmp_path):
    changes = {"result_qps_with_loadgen_overhead": 0, "result_query_count": 1}
    single = read_score(tmp_path, **changes)
    assert (single.images, single.seconds) == (1, 1.0)
