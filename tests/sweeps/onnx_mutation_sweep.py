"""What becomes of ONNX models that set one field to another value; counts with ``-m``.

python -m tests.sweeps.onnx_mutation_sweep
"""

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

from sim.compare.onnx import OnnxMeasurer, faults
from sw.errors import DnaError
from sw.frontends.onnx import import_file
from tests.support.onnx_bases import Schema, bases, schemas, settle
from tests.support.onnx_mutations import mutations

OUTCOMES = ("equal", "refused", "impossible")
"""ONNX Runtime's result; a refusal of one line; accepted, but ONNX Runtime does not run it."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A model: the field that it sets, what it sets, and one of ``OUTCOMES`` or what is wrong."""

    field: str
    where: str
    found: str


def outcome(model: onnx.ModelProto, path: Path) -> str:
    """One of ``OUTCOMES``, or what is wrong.

    Only what the importer accepts is run: ONNX Runtime aborts the process at some of the others.
    """
    onnx.save(model, path)
    try:
        imported = import_file(path)
    except DnaError as error:
        return "refused" if "\n" not in str(error) else f"a refusal of several lines: {error}"
    except Exception as error:
        return f"a traceback: {error!r}"
    if not settle(model):
        return "impossible"
    onnx.save(model, path)
    source = imported.graph.tensors[imported.graph.input]
    image = np.random.default_rng(0).integers(-128, 128, source.shape, dtype=np.int8)
    try:
        measurer = OnnxMeasurer(path, imported)
        measured = measurer.measure([image])
        found = faults(measured, measurer.whole([image], measured))
    except DnaError as error:
        return f"it runs but cannot be compared: {error}"
    return "; ".join(found) or "equal"


def sweep(schema: Schema, path: Path) -> Iterator[Row]:
    """Every model of every field of ``schema``, written to ``path``."""
    for number, base in enumerate(bases(schema)):
        for what, name, models in mutations(schema, base):
            for text, model in models:
                where = f"{schema} base {number}, {what} {name} = {text}"
                yield Row(name, where, outcome(model, path))


def main() -> None:
    """Print how many fields and models there are and what becomes of them."""
    fields, models, found = 0, 0, Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for schema in schemas():
            fields += len(schema.attributes) + len(schema.inputs)
            for row in sweep(schema, Path(folder) / "model.onnx"):
                models += 1
                found[row.found if row.found in OUTCOMES else "wrong"] += 1
                if row.found not in OUTCOMES:
                    print(f"{row.where}: {row.found}")
    counts = ", ".join(f"{found[name]} {name}" for name in (*OUTCOMES, "wrong"))
    print(f"{len(schemas())} schemas, {fields} fields, {models} models: {counts}")


if __name__ == "__main__":
    main()
