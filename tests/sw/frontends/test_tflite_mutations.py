"""Fields of accepted TFLite operators, set to other values: LiteRT's result or a refusal.

The fields come from the schema's objects. Here each gets one other value: options, inputs and
quantization of every operator, and of every third one what all operators have.
``python -m tests.sweeps.tflite_mutation_sweep`` takes all values of all.
"""

import zlib

import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.support import tflite_values
from tests.support.mutation_rows import Row, wrong
from tests.support.tflite_bases import bases, operators
from tests.support.tflite_mutations import mutations, places
from tests.sweeps.tflite_mutation_sweep import outcome, sweep

ALIKE = (schema.OperatorT, schema.OperatorCodeT, schema.TensorT, schema.BufferT)
"""What is read of every operator in the same way."""
THIRD = 3


def chosen(code):
    """One file of each field of an operator, with what it says."""
    seen = set()
    for number, base in enumerate(bases(code)):
        alike = {place.what for place in places(base) if place.kind in ALIKE}
        for what, name, files in mutations(base):
            draw = zlib.crc32(f"{code}{what}{name}".encode())
            inputs = name.startswith("input ")
            if (what, name) in seen or (what in alike and not inputs and draw % THIRD):
                continue
            seen.add((what, name))
            text, write = files[draw // THIRD % len(files)]
            yield name, f"{code} base {number}, {what}: {name} = {text}", write


def test_every_field_of_every_operator_has_other_values():
    fields = models = 0
    for code in operators():
        seen = set()
        for base in bases(code):
            held = {(place.what, name) for place in places(base) for name in vars(place.kind())}
            made = {(what, name): files for what, name, files in mutations(base)}
            assert held <= set(made)
            assert all(made.values()), f"a field of {code} has no other value"
            models += sum(map(len, made.values()))
            seen |= set(made)
        fields += len(seen)
    print(f"{len(operators())} operators, {fields} fields, {models} models")
    assert fields > 1600
    assert models > 13000


def test_a_field_without_values_is_noticed(monkeypatch):
    monkeypatch.delitem(tflite_values.OPTIONS, "beta")
    with pytest.raises(KeyError, match="beta"):
        list(mutations(bases("SOFTMAX")[0]))
    monkeypatch.delitem(tflite_values.VALUES[schema.TensorT], "isVariable")
    with pytest.raises(KeyError, match="isVariable"):
        list(mutations(bases("LOGISTIC")[0]))


@pytest.mark.parametrize("code", operators())
def test_another_value_of_a_field_is_computed_or_refused(code, tmp_path):
    path = tmp_path / "model.tflite"
    for base in bases(code):
        assert outcome(base.content, path) == "equal"
    rows = [Row(name, where, outcome(write(), path)) for name, where, write in chosen(code)]
    assert not wrong(rows), "\n".join(wrong(rows))


def test_an_importer_that_overlooks_a_field_is_caught(tmp_path, monkeypatch):
    """The test of the test: some options are taken for those of the network without a change."""
    from sw.frontends.tflite.file.operator import TfliteOperator

    usual = {"strideH": 1, "fusedActivationFunction": 0, "beta": 1.0}

    def blind(self, name, real=TfliteOperator.option):
        real(self, name)
        return usual.get(name, self.options[name])

    monkeypatch.setattr(TfliteOperator, "option", blind)
    caught = set()
    for code in ("CONV_2D", "SOFTMAX"):
        (base, *_) = bases(code)
        rows = sweep(base, 0, tmp_path / "m.tflite", only=set(usual))
        caught |= {row.field for row in rows if wrong([row])}
    assert caught == set(usual)
