import dataclasses
from pathlib import Path

import pytest

from harness.explore.evaluate import Outcome, Task
from harness.explore.state import State
from hw.config import PRESETS
from sim.memory.model import MemoryModel
from sw.errors import DnaError

TASKS = [Task(Path("/a"), "network", "model", config, MemoryModel()) for config in PRESETS.values()]
OUTCOMES = [Outcome(cycles=100 + number, macs=7, dram_bytes=3) for number in range(len(TASKS))]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state.jsonl"


def test_what_was_added_is_there_the_next_time(file):
    state = State(file)
    assert state.get(TASKS[0]) is None
    for task, outcome in zip(TASKS, OUTCOMES, strict=True):
        state.add(task, outcome)
    refused = dataclasses.replace(TASKS[0], network="another")
    state.add(refused, Outcome(refused="too small"))
    again = State(file)
    assert [again.get(task) for task in TASKS] == OUTCOMES
    assert again.get(refused).refused == "too small"


@pytest.mark.parametrize(
    "change",
    [
        {"network": "another"},
        {"model": "another"},
        {"memory": MemoryModel(latency=65)},
        {"config": dataclasses.replace(PRESETS["nano"], weight_fifo_words=32)},
    ],
)
def test_an_outcome_is_of_one_network_model_machine_and_memory(file, change):
    State(file).add(TASKS[0], OUTCOMES[0])
    assert State(file).get(dataclasses.replace(TASKS[0], **change)) is None


def test_names_and_places_do_not_matter(file):
    State(file).add(TASKS[0], OUTCOMES[0])
    renamed = dataclasses.replace(TASKS[0].config, name="other")
    moved = dataclasses.replace(TASKS[0], config=renamed, artifact=Path("/b"))
    assert State(file).get(moved) == OUTCOMES[0]


def test_cut_off_anywhere_it_loses_at_most_the_last_line(file):
    state = State(file)
    for task, outcome in zip(TASKS[:3], OUTCOMES, strict=False):
        state.add(task, outcome)
    content = file.read_bytes()
    second = content.index(b"\n", content.index(b"\n") + 1)
    for end in range(second + 1, len(content) + 1):
        file.write_bytes(content[:end])
        state = State(file)
        assert [state.get(task) for task in TASKS[:2]] == OUTCOMES[:2]
        assert state.get(TASKS[2]) in (None, OUTCOMES[2])
        state.add(TASKS[3], OUTCOMES[3])  # behind whatever is left of the third
        again = State(file)
        assert [again.get(TASKS[n]) for n in (0, 1, 3)] == [OUTCOMES[n] for n in (0, 1, 3)]


@pytest.mark.parametrize("text", ['{"key":3}', "<html>", '{"key":"a"}', "[]"])
def test_another_file_is_not_taken_for_it(file, text):
    file.write_text(f"{text}\n")
    with pytest.raises(DnaError, match=r"line 1 of .*state.jsonl is no result of a sweep"):
        State(file)


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(DnaError, match="cannot write"):
        State(tmp_path / "missing" / "file").add(TASKS[0], OUTCOMES[0])
    with pytest.raises(DnaError, match="cannot read"):
        State(tmp_path)
