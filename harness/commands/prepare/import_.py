"""``dna import``: a network that is quantized already into an artifact."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.common import (
    PATH,
    check_writable,
    json_option,
    preprocessing_option,
    write_json,
)
from sw.extras import needs

if TYPE_CHECKING:
    from harness.host.terminal import Console, Table
    from sw.graph import Graph

RANDOM_INPUTS = 2
DIFFERENT = 1
_ONNX_TITLE = "ONNX Runtime against the integer graph, each operation on the same operands"


@click.command("import", short_help="Take a network that is quantized already (TFLite, ONNX).")
@click.argument("model", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="ARTIFACT", help="The artifact.")
@preprocessing_option("array", "How photographs become its input; array: it takes .npy files.")
@click.option(
    "--labels",
    type=PATH,
    metavar="FILE",
    help="Names of the classes: one a line in order, or INDEX NAME a line, or JSON (.json).",
)
@click.option(
    "--class-offset",
    type=click.IntRange(min=0),
    metavar="N",
    help="Logits in front of class 0. Default: 1, a background, if the first label says so or "
    "there are 1001 logits and no labels; else 0.",
)
@click.option(
    "--keep",
    is_flag=True,
    help="Write the artifact although the file's own runtime computes another thing.",
)
@json_option
def command(
    model: Path,
    output: Path,
    preprocessing: str,
    labels: Path | None,
    class_offset: int | None,
    keep: bool,
    json_file: Path | None,
) -> None:
    """Turn MODEL, a full-integer int8 TFLite or ONNX file, into an artifact.

    From TFLite it computes what LiteRT computes with its default delegate, bit for bit. From ONNX
    (QDQ or QOperator, of ONNX Runtime's static quantization) it does so where ONNX Runtime has the
    same rules. Each operation and the whole network are run in both on random inputs, and a
    difference (of ONNX: one that rounding does not explain) is exit code 1, without an artifact.
    What runs on the host (softmax behind the logits, quantization at the edges) is left out. A
    model that the machine cannot compute to the same bits is refused, with the operator and the
    nearest thing that is supported.

    \b
    Example:
      dna import mobilenet.tflite --preprocessing mobilenet --labels labels.txt -o mobilenet.dna
    """  # noqa: D301 (click reads the escape)
    from harness.data.labels import read_labels
    from harness.host.terminal import Console
    from sw import artifact
    from sw.classes import remark
    from sw.preprocessing import check_choice, chosen

    artifact.check_writable(output)
    check_writable(json_file)
    check_choice(preprocessing)
    names = None if labels is None else read_labels(labels)
    is_onnx = model.suffix == ".onnx"
    graph, figures = _onnx(model) if is_onnx else _tflite(model)
    faults = figures["faults"]
    network = artifact.make(
        graph,
        model=model.stem,
        framework="onnx" if is_onnx else "tflite",
        preprocessing=chosen(preprocessing, graph.tensors[graph.input].shape),
        class_names=names,
        class_offset=class_offset,
    )
    written = keep or not faults
    if written:
        network = artifact.save(network, output)
    figures |= {
        "model": str(model),
        "artifact": str(output) if written else None,
        "operations": len(graph.operations),
        "class_offset": network.manifest.class_offset,
        "macs": sum(graph.macs(operation) for operation in graph.operations),
    }
    console = Console()
    console.print(_onnx_table(figures) if is_onnx else _tflite_table(figures))
    _tell(console, figures)
    console.print(
        f"{figures['operators']} operators became {len(graph.operations)}, "
        f"{figures['macs']:,} multiply-accumulates: {output if written else 'no artifact'}"
    )
    if line := remark(len(network.manifest.class_names), network.manifest.class_offset):
        assumed = class_offset is None and names is None and network.manifest.class_offset
        console.print(line + (" If not: --class-offset 0." if assumed else ""), markup=False)
    write_json(json_file, figures)
    if faults:
        raise SystemExit(DIFFERENT)


def _on_the_machine(code: str) -> str:
    from sw import operators

    row = operators.find("tflite", code)
    return "" if row is None else row.machine


def _tflite(model: Path) -> tuple[Graph, dict[str, Any]]:
    """The graph, and in how many values it differs from LiteRT on random inputs."""
    from harness.data.inputs import random_inputs
    from sim.compare.engines import total
    from sim.compare.tflite import TfliteComparer
    from sw.frontends.tflite import import_file

    file, imported = import_file(model)
    graph = imported.graph
    comparer = TfliteComparer(model.read_bytes(), file, imported)
    images = random_inputs(graph.tensors[graph.input].shape, RANDOM_INPUTS)
    rows = total(comparer.image(image) for image in images)
    values, differing = sum(r.values for r in rows), sum(r.mismatches for r in rows)
    counts = Counter(step.code for step in imported.steps)
    on_machine = {step.code for step in imported.steps if step.graph_tensor and step.reads}
    on_machine |= {"PAD", "PADV2"}
    return graph, {
        "operators": len(imported.steps),
        "random_inputs": RANDOM_INPUTS,
        "whole": {"values": values, "differing": differing},
        "faults": [
            f"operator {row.operation}: {row.mismatches:,} of {row.values:,} values differ from "
            "LiteRT's"
            for row in rows
            if row.mismatches
        ],
        "notes": list(imported.notes),
        "kinds": [
            {
                "code": code,
                "count": count,
                "on_the_machine": _on_the_machine(code)
                if code in on_machine
                else "no: for the host",
            }
            for code, count in sorted(counts.items())
        ],
    }


def _tflite_table(figures: dict[str, Any]) -> Table:
    from harness.host.terminal import Table

    table = Table("operator", "in the file", "on the machine")
    for row in figures["kinds"]:
        table.add_row(row["code"], str(row["count"]), row["on_the_machine"])
    return table


def _onnx(model: Path) -> tuple[Graph, dict[str, Any]]:
    """The graph, how far ONNX Runtime is from it on random inputs, and what nothing explains."""
    with needs("bench"):
        from sim.compare.onnx import OnnxMeasurer, by_kind, faults
        from sw.frontends.onnx import import_file
    from harness.data.inputs import random_inputs

    imported = import_file(model)
    graph = imported.graph
    images = list(random_inputs(graph.tensors[graph.input].shape, RANDOM_INPUTS))
    measurer = OnnxMeasurer(model, imported)
    measured = measurer.measure(images)
    whole = measurer.whole(images, measured)
    return graph, {
        "operators": imported.nodes,
        "random_inputs": RANDOM_INPUTS,
        "differences": [dataclasses.asdict(row) for row in by_kind(measured)],
        "layers": [dataclasses.asdict(row) for row in measured],
        "whole": dataclasses.asdict(whole),
        "faults": faults(measured, whole),
        "notes": list(imported.notes),
    }


def _onnx_table(figures: dict[str, Any]) -> Table:
    from harness.host.terminal import Table

    table = Table("operation", "values", "differ", "share", "largest", title=_ONNX_TITLE)
    for row in figures["differences"]:
        table.add_row(
            row["kind"],
            f"{row['values']:,}",
            f"{row['differing']:,}",
            f"{row['differing'] / row['values']:.2%}",
            f"{row['largest']} of 255 steps",
        )
    return table


def _tell(console: Console, figures: dict[str, Any]) -> None:
    """How far the whole network is from the file, what to know of it, and what is wrong."""
    whole, inputs = figures["whole"], figures["random_inputs"]
    compared = f"{inputs} random inputs: {whole['values']:,} values compared"
    if "explained" in whole:
        console.print(
            f"the whole network against the file in ONNX Runtime, {compared}, "
            f"{whole['differing']:,} differ, by {whole['largest']} of 255 steps at most; rounding "
            f"explains {whole['explained']}"
        )
    else:
        console.print(
            f"every operator against the file in LiteRT, {compared}, {whole['differing']:,} differ"
        )
    for note in figures["notes"]:
        console.print(f"note: {note}")
    for fault in figures["faults"]:
        click.echo(f"error: {fault}", err=True)
