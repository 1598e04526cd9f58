"""A TFLite file as ``dna import`` sees it: what runs where, and whether the values are LiteRT's."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from harness.data.inputs import random_inputs
from sim.compare.engines import total
from sim.compare.tflite import TfliteComparer
from sim.compare.whole import WholeComparer
from sw import artifact, operators
from sw.artifact import Artifact
from sw.frontends.tflite import ImportedFile, import_file

RANDOM_INPUTS = 2
CALLS = 8
"""Of a network that carries maps from call to call, one after the other."""


def imported_tflite(path: Path) -> tuple[ImportedFile, dict[str, Any]]:
    """What became of a file, and the figures for JSON.

    Raises:
        DnaError: it is refused, or LiteRT cannot run it.
    """
    file = import_file(path)
    graph, divided = file.imported.graph, file.divided
    comparer = TfliteComparer(file.content, file.model, file.imported)
    images = random_inputs(graph.tensors[graph.input].shape, RANDOM_INPUTS)
    rows = total(comparer.image(image) for image in images)
    compared = [(f"operator {row.operation}", row.values, row.mismatches) for row in rows]
    if file.host.parts or graph.states:
        compared += [(f"output {name!r}", n, wrong) for name, n, wrong in _answers(path, file)]
    macs, on_machine = divided.macs, divided.on_machine
    return file, {
        "operators": len(divided.whole.operators),
        "random_inputs": RANDOM_INPUTS,
        "whole": {
            "values": sum(values for _, values, _ in compared),
            "differing": sum(differing for _, _, differing in compared),
        },
        "faults": [
            f"{what}: {differing:,} of {values:,} values differ from LiteRT's"
            for what, values, differing in compared
            if differing
        ],
        "notes": list(file.notes),
        "kinds": _kinds(file),
        "file_macs": sum(macs.values()),
        "machine_macs": sum(macs[index] for index in on_machine),
        "share": divided.share,
    }


def network_of(path: Path, file: ImportedFile) -> Artifact:
    """A file as an artifact that takes arrays.

    Raises:
        DnaError: as :func:`sw.artifact.make`.
    """
    return artifact.make(
        file.imported.graph,
        model=path.stem,
        framework="tflite",
        preprocessing=None,
        host=file.host,
        models=file.models,
    )


def _answers(path: Path, file: ImportedFile) -> list[tuple[str, int, int]]:
    """Of each output of the file: its name, values that were compared, and those that differ."""
    network = network_of(path, file)
    whole = WholeComparer(path.read_bytes(), file, network)
    for seed in range(CALLS if network.manifest.carries else RANDOM_INPUTS):
        whole.compare(seed)
    return [(each.name, each.values, each.differing) for each in whole.answered]


def _kinds(file: ImportedFile) -> list[dict[str, Any]]:
    """Of each kind of operator: how many there are, where they run, and what they compute."""
    divided = file.divided
    counts: Counter[str] = Counter(each.code for each in divided.whole.operators)
    there = [each for each in divided.whole.operators if each.index in divided.on_machine]
    machine: Counter[str] = Counter(each.code for each in there)
    macs: Counter[str] = Counter()
    for operator in divided.whole.operators:
        macs[operator.code] += divided.macs[operator.index]
    return [
        {
            "code": code,
            "count": count,
            "machine": machine[code],
            "host": count - machine[code],
            "macs": macs[code],
            "on_the_machine": _as_what(code) if machine[code] else "no: for the host",
        }
        for code, count in sorted(counts.items())
    ]


def _as_what(code: str) -> str:
    row = operators.find("tflite", code)
    return "" if row is None else row.machine
