"""What becomes of ONNX models that set one field to another value; counts with ``-m``.

python -m tests.sweeps.onnx_mutation_sweep
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx

from sim.compare.onnx import OnnxMeasurer, faults
from sw.errors import DnaError
from sw.frontends.onnx import import_file
from tests.support.mutation_rows import Row, counted, imported, told
from tests.support.onnx_bases import Schema, bases, schemas, settle
from tests.support.onnx_mutations import mutations


def outcome(model: onnx.ModelProto, path: Path) -> str:
    """One of ``OUTCOMES``, or what is wrong.

    Only what the importer accepts is run: ONNX Runtime aborts the process at some of the others.
    """
    onnx.save(model, path)
    found, refusal = imported(import_file, path)
    if found is None:
        return refusal
    if not settle(model):
        return "impossible"
    onnx.save(model, path)
    source = found.graph.tensors[found.graph.input]
    image = np.random.default_rng(0).integers(-128, 128, source.shape, dtype=np.int8)
    try:
        measurer = OnnxMeasurer(path, found)
        measured = measurer.measure([image])
        differences = faults(measured, measurer.whole([image], measured))
    except DnaError as error:
        return f"it runs but cannot be compared: {error}"
    return "; ".join(differences) or "equal"


def sweep(schema: Schema, path: Path) -> Iterator[Row]:
    """Every model of every field of ``schema``, written to ``path``."""
    for number, base in enumerate(bases(schema)):
        for what, name, models in mutations(schema, base):
            for text, model in models:
                where = f"{schema} base {number}, {what} {name} = {text}"
                yield Row(name, where, outcome(model, path))


def main() -> None:
    """Print how many fields and models there are and what becomes of them."""
    fields, known = 0, Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for schema in schemas():
            fields += len(schema.attributes) + len(schema.inputs)
            counted(sweep(schema, Path(folder) / "model.onnx"), known)
    print(f"{len(schemas())} schemas, {fields} fields, {told(known)}")


if __name__ == "__main__":
    main()
