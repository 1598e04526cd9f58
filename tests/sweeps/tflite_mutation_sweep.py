"""What becomes of TFLite models that set one field to another value; counts with ``-m``.

python -m tests.sweeps.tflite_mutation_sweep
"""

import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from sim.functional.tflite_judge import TfliteJudge
from sim.reference import ReferenceModel
from sw.errors import DnaError
from sw.frontends.tflite import Imported
from tests.support.mutation_rows import Row, counted, imported, told
from tests.support.tflite_bases import Base, bases, operators
from tests.support.tflite_mutations import mutations
from tests.support.tflite_strict import import_whole
from tests.sweeps.import_sweep import extremes, noise


def outcome(content: bytes, path: Path) -> str:
    """One of ``OUTCOMES``, or what is wrong.

    Only what the importer accepts is run: LiteRT aborts the process at some of the others.
    """
    path.write_bytes(content)
    taken, refusal = imported(import_judged, path)
    if taken is None:
        return refusal
    found, judge = taken
    rng = np.random.default_rng(0)
    shape = found.graph.tensors[found.graph.input].shape
    try:
        reference = ReferenceModel(found.graph)
        for image in (noise(rng, shape), extremes(rng, shape)):
            judged, got = judge.run(image), reference.run_all(image)
            for step in found.steps:
                if step.graph_tensor is not None:
                    expected = judged[step.tensor].reshape(-1)
                    if not np.array_equal(got[step.graph_tensor].reshape(-1), expected):
                        return f"operator {step.index} ({step.code}) has other values"
            wrong = host(found, judged[found.outputs[0]], judge.answer)
            if wrong:
                return wrong
    except DnaError as error:
        return f"it runs but cannot be compared: {error}"
    return "equal"


def import_judged(path: Path) -> tuple[Imported, TfliteJudge]:
    """A file as ``dna import`` takes it, which refuses what LiteRT's delegate does not compute."""
    model, found = import_whole(path)
    return found, TfliteJudge(path.read_bytes(), model, found)


def host(found: Imported, border: np.ndarray, answer: np.ndarray) -> str:
    """What the file's answer says that does not follow from what the artifact ends with.

    Args:
        border: what the graph ends with.
        answer: what the file makes of it.
    """
    if answer.dtype in (np.int32, np.int64):
        same = np.array_equal(answer.reshape(-1), border.argmax(-1).reshape(-1))
        return "" if same else "another class"
    moved = any("TRANSPOSE" in note and "ends" in note for note in found.notes)
    flat, values = border.reshape(-1).astype(np.int64), answer.reshape(-1).astype(np.float64)
    if moved:
        return "" if sorted(flat) == sorted(values) else "other values behind the border"
    rises = np.diff(values[np.argsort(flat, kind="stable")]) >= 0
    return "" if rises.all() else "another order of the classes"


def sweep(
    base: Base, number: int, path: Path, only: Collection[str] | None = None
) -> Iterator[Row]:
    """Every file of every field of a base, or of those named in ``only``, written to ``path``."""
    for what, name, files in mutations(base):
        for text, write in files if only is None or name in only else []:
            where = f"{base.code} base {number}, {what}: {name} = {text}"
            yield Row(name, where, outcome(write(), path))


def main() -> None:
    """Print how many fields and models there are and what becomes of them."""
    fields, known = 0, Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for code in operators():
            seen: set[tuple[str, str]] = set()
            for number, base in enumerate(bases(code)):
                seen |= {(what, name) for what, name, _ in mutations(base)}
                counted(sweep(base, number, Path(folder) / "model.tflite"), known)
            fields += len(seen)
    print(f"{len(operators())} operators, {fields} fields, {told(known)}")


if __name__ == "__main__":
    main()
