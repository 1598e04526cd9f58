"""``dna import``: a network that is quantized already into an artifact."""

from __future__ import annotations

import dataclasses
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
from sw.host.extras import needs

if TYPE_CHECKING:
    from harness.host.terminal import Console, Table
    from sw.artifact.host import Host
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
    graph, host, models, figures = _onnx(model) if is_onnx else _tflite(model)
    faults = figures["faults"]
    network = artifact.make(
        graph,
        model=model.stem,
        framework="onnx" if is_onnx else "tflite",
        preprocessing=None,
        host=host,
        models=models,
    )
    network = artifact.make(
        graph,
        model=model.stem,
        framework=network.manifest.framework,
        preprocessing=chosen(preprocessing, network.manifest.given_shape),
        class_names=names,
        class_offset=class_offset,
        host=host,
        models=models,
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
    if figures.get("file_macs"):
        console.print(
            f"on the machine: {figures['machine_macs']:,} of the file's {figures['file_macs']:,} "
            f"multiply-accumulates, {figures['share']:.2%}"
        )
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


def _tflite(model: Path) -> tuple[Graph, Host, dict[str, bytes], dict[str, Any]]:
    """The graph, what the host runs, and in how many values both differ from LiteRT."""
    from harness.verify.imported_tflite import imported_tflite

    file, figures = imported_tflite(model)
    return file.imported.graph, file.host, file.models, figures


def _tflite_table(figures: dict[str, Any]) -> Table:
    from harness.host.terminal import Table

    table = Table("operator", "in the file", "machine", "host", "MACs", "on the machine")
    for row in figures["kinds"]:
        counts = (str(row[key] or "") for key in ("count", "machine", "host"))
        macs = f"{row['macs']:,}" if row["macs"] else ""
        table.add_row(row["code"], *counts, macs, row["on_the_machine"])
    return table


def _onnx(model: Path) -> tuple[Graph, Host, dict[str, bytes], dict[str, Any]]:
    """The graph, how far ONNX Runtime is from it on random inputs, and what nothing explains."""
    with needs("bench"):
        from sim.compare.onnx import OnnxMeasurer, by_kind, faults
        from sw.frontends.onnx import import_file
    from harness.data.inputs import random_inputs
    from sw.artifact.host import Host

    imported = import_file(model)
    graph = imported.graph
    images = list(random_inputs(graph.tensors[graph.input].shape, RANDOM_INPUTS))
    measurer = OnnxMeasurer(model, imported)
    measured = measurer.measure(images)
    whole = measurer.whole(images, measured)
    return (
        graph,
        Host(),
        {},
        {
            "operators": imported.nodes,
            "random_inputs": RANDOM_INPUTS,
            "differences": [dataclasses.asdict(row) for row in by_kind(measured)],
            "layers": [dataclasses.asdict(row) for row in measured],
            "whole": dataclasses.asdict(whole),
            "faults": faults(measured, whole),
            "notes": list(imported.notes),
        },
    )


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
