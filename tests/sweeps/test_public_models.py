"""The table of public models: what each command's end means."""

import json

import numpy as np
import pytest

from sw import artifact
from tests.support.graphs import random_small_graph
from tests.sweeps import public_models
from tests.sweeps.public_models import END, MARK, table, tried, written


def commands(monkeypatch, *, code, said, mismatches=(0, 0)):
    """Both commands end with ``code`` and say a line each; what they compare is 20 values.

    Args:
        mismatches: of them, and of 30 values in the interpreter.
    """
    lines = {"import": said[0], "compare": said[1]}

    def dna(name, *arguments):
        figures = {
            "import": {"share": 0.99, "whole": {"values": 0, "differing": 0}},
            "compare": {"values": 20, "mismatches": mismatches[0]},
            "verify": {"values": 30, "mismatches": mismatches[1]},
        }
        ends = {"import": code[0], "compare": code[1]}
        if name in figures and not ends.get(name, 0):
            with open(arguments[-1], "w", encoding="utf-8") as file:
                json.dump(figures[name], file)
        return ends.get(name, 0), lines.get(name, [])

    monkeypatch.setattr(public_models, "dna", dna)
    graph = random_small_graph(np.random.default_rng(0), (8, 8, 3))
    made = artifact.make(graph, model="a", framework="tflite", preprocessing=None)
    monkeypatch.setattr(artifact, "load", lambda path: made)


def test_an_accepted_file_is_a_row_with_its_values(monkeypatch, tmp_path):
    commands(monkeypatch, code=(0, 0), said=([], []))
    model = tried(tmp_path / "a.tflite")
    assert not model.wrong
    assert table([model]).splitlines()[-1] == "| a | yes | 99.00 % | 20 | 0 | 30 | 0 | |"


def test_a_refused_file_is_a_row_with_its_line(monkeypatch, tmp_path):
    path = tmp_path / "a.tflite"
    line = f"error: {path}: operator 3 (MUL): not supported; nearest: another"
    commands(monkeypatch, code=(2, 2), said=([line], [line]))
    model = tried(path)
    assert not model.wrong
    assert (
        table([model]).splitlines()[-1] == "| a | no | | | | | | operator 3 (MUL): not supported |"
    )


@pytest.mark.parametrize(
    ("code", "said", "mismatches"),
    [
        ((0, 0), ([], []), (1, 0)),
        ((0, 0), ([], []), (0, 1)),
        ((0, 2), ([], ["error: a"]), (0, 0)),
        ((2, 2), (["error: a"], ["error: b"]), (0, 0)),
        ((2, 2), (["error: a", "more"], ["error: a", "more"]), (0, 0)),
        ((1, 1), (["Traceback"], ["Traceback"]), (0, 0)),
    ],
)
def test_everything_else_is_wrong(monkeypatch, tmp_path, code, said, mismatches):
    commands(monkeypatch, code=code, said=said, mismatches=mismatches)
    assert tried(tmp_path / "a.tflite").wrong


def test_the_table_goes_between_its_marks():
    page = f"before\n{MARK}\nold\n{END}\nbehind\n"
    assert written(page, "new") == f"before\n{MARK}\n\nnew\n\n{END}\nbehind\n"
    with pytest.raises(SystemExit, match="no part"):
        written("a page", "new")
