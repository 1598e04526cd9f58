"""Every field of every accepted ONNX operator, set to other values: the same result or a refusal.

The fields come from the schemas of the standard and of ONNX Runtime.
"""

import pytest

from tests.support.mutation_rows import OUTCOMES, wrong
from tests.support.onnx_bases import bases, operators, schemas
from tests.support.onnx_mutations import mutations
from tests.sweeps.onnx_mutation_sweep import outcome, sweep

SCHEMAS = schemas()


def test_every_accepted_operator_has_a_schema():
    assert {schema.operator for schema in SCHEMAS} == set(operators())


def test_every_field_of_every_schema_is_mutated():
    fields = models = 0
    for schema in SCHEMAS:
        listed = [("attribute", name) for name in schema.attributes]
        listed += [("input", name) for name in schema.inputs]
        for base in bases(schema):
            mutated = {(what, name): made for what, name, made in mutations(schema, base)}
            assert list(mutated) == listed
            assert all(mutated.values()), f"a field of {schema} has no other value"
            models += sum(map(len, mutated.values()))
        fields += len(listed)
    print(f"{len(SCHEMAS)} schemas, {fields} fields, {models} models")
    assert fields > 200
    assert models > 2000


@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_another_value_of_a_field_is_computed_or_refused(schema, tmp_path):
    path = tmp_path / "model.onnx"
    for base in bases(schema):
        assert outcome(base, path) == "equal"
    found = wrong(sweep(schema, path))
    assert not found, "\n".join(found)


def test_an_importer_that_overlooks_a_field_is_caught(tmp_path, monkeypatch):
    """The test of the test: some attributes are taken for their defaults."""
    from sw.frontends.onnx.node import Node

    def blind(node, name, default, real=Node.attribute):
        value = real(node, name, default)
        return default if name in ("strides", "axes", "transB", "count_include_pad") else value

    monkeypatch.setattr(Node, "attribute", blind)
    caught = set()
    for schema in SCHEMAS:
        if str(schema) in ("onnx.Conv-20", "onnx.AveragePool-20", "com.microsoft.QGemm-20"):
            rows = list(sweep(schema, tmp_path / "model.onnx"))
            caught |= {row.field for row in rows if row.found not in OUTCOMES}
    assert {"strides", "count_include_pad", "transB"} <= caught
