import dataclasses
import time

import mlperf_loadgen
import numpy as np
import pytest

from harness.loadgen.machine import ModelledBatch
from harness.loadgen.systems import modelled
from harness.loadgen.systems.modelled import ModelledSystem
from tests.support.toy_machine import MACHINE


class Sample:
    def __init__(self, number):
        self.id = self.index = number


@pytest.fixture
def completions(monkeypatch):
    """When samples were completed, seconds of the performance counter, and their responses."""
    seen = []
    monkeypatch.setattr(
        mlperf_loadgen,
        "QuerySamplesComplete",
        lambda responses: seen.extend((time.perf_counter(), one) for one in responses),
    )
    monkeypatch.setattr(modelled, "_prefer_this_thread", lambda: False)
    return seen


def test_samples_of_a_query_complete_one_after_the_other(completions):
    answers = {number: np.full(1, number, np.float32) for number in range(3)}
    system = ModelledSystem(answers, MACHINE.completion)
    start = time.perf_counter()
    system.issue([Sample(number) for number in range(3)])
    assert [response.id for _, response in completions] == [0, 1, 2]
    for number, (when, response) in enumerate(completions, 1):
        assert when - start >= MACHINE.completion(number, 3)
        assert response.size == 4
    assert system.completed == 3
    assert len(system.late) == 1
    assert system.late[0] >= 0


def test_samples_of_a_batch_complete_together(monkeypatch):
    calls = []
    monkeypatch.setattr(
        mlperf_loadgen, "QuerySamplesComplete", lambda responses: calls.append(len(responses))
    )
    monkeypatch.setattr(modelled, "_prefer_this_thread", lambda: False)
    machine = dataclasses.replace(MACHINE, batch=ModelledBatch(3, 110_000))
    answers = {number: np.full(1, number, np.float32) for number in range(7)}
    system = ModelledSystem(answers, machine.completion)
    start = time.perf_counter()
    system.issue([Sample(number) for number in range(7)])
    assert time.perf_counter() - start >= machine.latency(7)
    assert calls == [3, 3, 1]
    assert system.completed == 7 and len(system.late) == 1


def test_a_missing_answer_ends_the_test(completions):
    system = ModelledSystem({}, MACHINE.completion)
    system.issue([Sample(0), Sample(1)])
    assert isinstance(system.failure, KeyError)
    assert [response.size for _, response in completions] == [0, 0]


def test_overhead_of_the_bindings_is_measured_and_small():
    assert 0 < modelled.binding_overhead() < 1e-3
