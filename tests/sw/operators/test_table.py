"""The table of operators is complete: whatever computes, reads or draws operators has every row."""

import importlib
import typing
from collections import Counter
from pathlib import Path

import pytest

from sim import reference
from sim.functional import flatbuffer, isa, kernels
from sw.compiler.lowering import LOWERINGS
from sw.errors import DnaError
from sw.operations import Conv2D, Operation
from sw.operators import FRONTENDS, find, nearest, row_of, spellings, table
from tests import skips
from tests.support import programs, tflite_random
from tests.sweeps import shrinking

ROWS = {row.name: row for row in table.TABLE}
OPERATIONS = {row.operation for row in table.TABLE if row.operation is not None}
BY_OPERATION = {
    "the reference": reference.RULES,
    "the kernels": kernels.FILLERS,
    "the flatbuffer writer": flatbuffer.WRITERS,
    "the compiler's lowering": LOWERINGS,
    "the sweeps' rebuild": shrinking.REBUILD,
}
HANDLERS = {
    "tflite": "sw.frontends.tflite.operators.handlers",
    "onnx": "sw.frontends.onnx.importer",
    "pytorch": "sw.frontends.pytorch.lowering",
}
EXAMPLES = {
    "tflite": "tests.support.tflite_models",
    "onnx": "tests.support.onnx_models",
    "pytorch": "tests.support.torch_models",
}
FUSED = " (fused)"
"""Ends the spelling of what is a part of another operator, and so needs no handler."""


def module(frontend: str, names: dict[str, str]) -> typing.Any:
    """One of ``names``, if this environment has what the frontend needs."""
    if frontend == "pytorch":
        pytest.importorskip("torch", reason=skips.not_installed("quantize"))
    return importlib.import_module(names[frontend])


def spelled(frontend: str) -> set[str]:
    """Names of the rows that ``frontend`` finds in files by themselves."""
    return {
        row.name
        for row in table.TABLE
        if any(not name.endswith(FUSED) for name in row.spelling[frontend].names)
    }


def test_every_class_of_operations_has_one_row():
    assert set(typing.get_args(Operation)) == OPERATIONS
    assert len(OPERATIONS) == sum(row.operation is not None for row in table.TABLE)
    assert len(ROWS) == len(table.TABLE)


@pytest.mark.parametrize("whose", BY_OPERATION)
def test_dispatch_by_operation_has_every_row_and_no_other(whose):
    assert set(BY_OPERATION[whose]) == OPERATIONS


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_every_row_has_a_handler_in_every_frontend(frontend):
    assert set(module(frontend, HANDLERS).HANDLERS) == spelled(frontend)


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_every_frontend_has_a_test_of_its_own(frontend):
    assert (Path(__file__).parents[1] / "frontends" / f"test_{frontend}.py").exists()


@pytest.mark.parametrize("row", table.TABLE, ids=lambda row: row.name)
def test_every_row_is_spelled_in_every_frontend_or_says_why_not(row):
    for frontend in FRONTENDS:
        spelling = row.spelling[frontend]
        assert bool(spelling.names) != bool(spelling.absent)
    assert row.accepts and row.graph and row.machine
    assert (row.shape is not None) == (row.operation is not None)
    assert all(constraint.rule for constraint in row.constraints)


@pytest.mark.parametrize("row", [row for row in table.TABLE if row.operation], ids=lambda r: r.name)
def test_every_operation_has_its_rule_on_the_page_of_the_contract(row):
    page = Path(__file__).parents[3] / "docs" / "numerics.md"
    assert row.name in page.read_text().lower()


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_a_name_means_one_row_and_what_is_refused_means_none(frontend):
    names = Counter(name for row in table.TABLE for name in row.spelling[frontend].names)
    assert max(names.values()) == 1
    unsupported = [name for row in table.TABLE for name in row.spelling[frontend].instead_of]
    assert max(Counter(unsupported).values()) == 1
    assert not set(unsupported) & set(names)
    for name in names:
        assert find(frontend, name) is not None
    for name in unsupported:
        assert find(frontend, name) is None
        assert not nearest(frontend, name).startswith("one of")


def test_tests_draw_every_row():
    with_operation = {row.name for row in ROWS.values() if row.operation is not None}
    assert set(programs.STEPS) | set(programs.ENDS) == with_operation
    assert set(programs.LAYERS) == with_operation
    assert set(tflite_random.DRAWS) | set(tflite_random.ENDS) == set(ROWS)


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_tests_have_an_example_of_every_row(frontend):
    examples = set(module(frontend, EXAMPLES).EXAMPLES)
    if frontend == "onnx":
        examples.add("shape arithmetic")  # the constants of every example
    assert examples == {row.name for row in table.TABLE if row.spelling[frontend].names}


def test_what_is_not_in_the_table_is_an_error():
    class Other(Conv2D, frozen=True, tag="other"):
        pass

    with pytest.raises(DnaError, match="Other is not in the table of operators"):
        row_of(Other)
    assert find("tflite", "LSTM") is None
    assert nearest("tflite", "LSTM") == f"one of {spellings('tflite')}"
    assert "CONV_2D, DEPTHWISE_CONV_2D" in spellings("tflite")


@pytest.mark.parametrize("engine", ["reference", "kernels", "flatbuffer"])
def test_an_operation_without_rule_kernel_or_writer_is_an_error(engine, monkeypatch):
    registry = {
        "reference": reference.RULES,
        "kernels": kernels.FILLERS,
        "flatbuffer": flatbuffer.WRITERS,
    }[engine]
    run = {
        "reference": lambda graph, x: reference.run_operation(graph, graph.operations[0], [x]),
        "kernels": lambda graph, x: kernels.Kernels(graph, isa.ISAS[0]),
        "flatbuffer": lambda graph, x: flatbuffer.emit(graph),
    }[engine]
    graph = programs.lone_convolution()
    monkeypatch.delitem(registry, Conv2D)
    with pytest.raises(DnaError, match=r"conv1: .* Conv2D"):
        run(graph, None)
