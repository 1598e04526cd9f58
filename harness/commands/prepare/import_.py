"""``dna import``: a network that is quantized already into an artifact."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.common import PATH, check_writable, json_option, write_json
from sw.errors import DnaError
from sw.extras import needs

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from sw.graph import Graph

RANDOM_INPUTS = 2
DIFFERENT = 1
_ONNX_TITLE = "ONNX Runtime against the integer graph, each operation on the same operands"


@click.command("import", short_help="Take a network that is quantized already (TFLite, ONNX).")
@click.argument("model", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="ARTIFACT", help="The artifact.")
@click.option(
    "--preprocessing",
    type=click.Choice(["array", "caffe", "torchvision", "mlperf"]),
    default="array",
    show_default=True,
    help="How photographs become its input; array: it takes .npy files.",
)
@click.option(
    "--labels", type=PATH, metavar="FILE", help="Names of the classes, one a line, in order."
)
@click.option(
    "--keep",
    is_flag=True,
    help="Write the artifact of an ONNX file although ONNX Runtime computes another thing.",
)
@json_option
def command(
    model: Path,
    output: Path,
    preprocessing: str,
    labels: Path | None,
    keep: bool,
    json_file: Path | None,
) -> None:
    """Turn MODEL, a full-integer int8 TFLite or ONNX file, into an artifact.

    From TFLite it computes what LiteRT computes with its default delegate, bit for bit: `dna
    compare MODEL` shows it. From ONNX (QDQ or QOperator, of ONNX Runtime's static quantization) it
    does so where ONNX Runtime has the same rules; each operation and the whole network are run in
    both on random inputs, and a difference that rounding does not explain is exit code 1, without
    an artifact. What runs on the host (softmax behind the logits, quantization at the edges) is
    left out. A model that the machine cannot compute to the same bits is refused, with the
    operator and the nearest thing that is supported.

    \b
    Example:
      dna import mobilenet.tflite --preprocessing torchvision --labels labels.txt -o mobilenet.dna
    """  # noqa: D301 (click reads the escape)
    from rich.console import Console

    from sw import artifact

    artifact.check_writable(output)
    check_writable(json_file)
    is_onnx = model.suffix == ".onnx"
    graph, figures = _onnx(model) if is_onnx else _tflite(model)
    faults = figures.get("faults", [])
    network = artifact.make(
        graph,
        model=model.stem,
        framework="onnx" if is_onnx else "tflite",
        preprocessing=preprocessing,
        class_names=_class_names(labels, graph.tensors[graph.output].shape),
    )
    if preprocessing != "array":
        from harness.data.preprocess import check_input

        check_input(network.manifest)
    written = keep or not faults
    if written:
        network = artifact.save(network, output)
    figures |= {
        "model": str(model),
        "artifact": str(output) if written else None,
        "operations": len(graph.operations),
        "macs": sum(graph.macs(operation) for operation in graph.operations),
    }
    console = Console(soft_wrap=True, highlight=False)
    console.print(_onnx_table(figures) if is_onnx else _tflite_table(figures))
    if is_onnx:
        _tell_onnx(console, figures)
    console.print(
        f"{figures['operators']} operators became {len(graph.operations)}, "
        f"{figures['macs']:,} multiply-accumulates: {output if written else 'no artifact'}"
    )
    write_json(json_file, figures)
    if faults:
        raise SystemExit(DIFFERENT)


def _class_names(labels: Path | None, shape: tuple[int, ...]) -> list[str]:
    import math

    if labels is None:
        return [f"class {index}" for index in range(math.prod(shape))]
    try:
        return [line for line in labels.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DnaError(f"cannot read {labels}: {error}") from error


def _on_the_machine(code: str) -> str:
    from sw import operators

    row = operators.find("tflite", code)
    return "" if row is None else row.machine


def _tflite(model: Path) -> tuple[Graph, dict[str, Any]]:
    from sw.frontends.tflite import import_file

    _, imported = import_file(model)
    counts = Counter(step.code for step in imported.steps)
    on_machine = {step.code for step in imported.steps if step.graph_tensor is not None}
    on_machine |= {"PAD", "PADV2"}
    return imported.graph, {
        "operators": len(imported.steps),
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
    from rich.table import Table

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
    from rich.table import Table

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


def _tell_onnx(console: Console, figures: dict[str, Any]) -> None:
    """How far the whole network is from the file, what to know of it, and what is wrong."""
    whole = figures["whole"]
    console.print(
        f"the whole network against the file in ONNX Runtime, {figures['random_inputs']} random "
        f"inputs: {whole['values']:,} values compared, {whole['differing']:,} differ, by "
        f"{whole['largest']} of 255 steps at most; rounding explains {whole['explained']}"
    )
    for note in figures["notes"]:
        console.print(f"note: {note}", markup=False)
    for fault in figures["faults"]:
        click.echo(f"error: {fault}", err=True)
