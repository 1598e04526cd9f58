"""``dna run``: what an artifact sees in photographs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from harness.commands.common import PATH, check_writable, json_option, write_json
from harness.commands.numbers import Count
from sw.errors import DnaError

if TYPE_CHECKING:
    from harness.host.terminal import Console

BAD_IMAGE = 2


@click.command("run", short_help="Name what is in photographs.")
@click.argument("artifact", type=PATH)
@click.argument("images", type=PATH, nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--engine",
    "simulator",
    type=click.Choice(["functional", "reference"]),
    default="functional",
    show_default=True,
    help="The fast model or the plain one; their bits are the same.",
)
@click.option(
    "--top", type=Count("classes"), default=5, show_default=True, help="Classes to print."
)
@json_option
def command(
    artifact: Path,
    images: tuple[Path, ...],
    simulator: Literal["functional", "reference"],
    top: int,
    json_file: Path | None,
) -> None:
    """Run ARTIFACT on photographs, or arrays in .npy files, and print the likeliest classes.

    Of a network that carries maps from call to call (a keyword spotter) the files are calls, one
    after the other, and a .npy may hold a sequence of them along its first axis. Of a network of
    several inputs a file is an .npz with an array for each.

    Of a network with several outputs, or whose answer the host makes (boxes), all outputs of its
    file are printed, and are in the JSON file; `dna deployed` writes them as arrays. Classes are
    counted from 0 behind a background, which is -1, where a network has one. A photograph that
    cannot be used does not stop the others: it is named, and the exit code is 2.

    \b
    Examples:
      dna run resnet50.dna cat.jpg dog.jpg --json seen.json
      dna run alexa.dna features.npy
    """  # noqa: D301 (click reads the escape)
    from harness.data.inputs import SUFFIX, load_calls, preprocessing_of
    from harness.host import computer
    from harness.host.between import softmax
    from harness.host.terminal import Console
    from sim.runtime import Runtime
    from sw.classes import check_classes, remark

    check_writable(json_file)
    runtime = Runtime.load(artifact, simulator, threads=computer.cpus())
    manifest, offset = runtime.manifest, runtime.manifest.class_offset
    several = manifest.carries or (manifest.further and not manifest.classifies)
    named = bool(manifest.answer_shape) and not several
    if named:
        check_classes(manifest.model, manifest.answer_shape)
    if not manifest.further and any(path.suffix.lower() != SUFFIX for path in images):
        preprocessing_of(manifest)
    results: list[dict[str, Any]] = []
    failures: list[dict[str, str]] = []
    console, errors = Console(), Console(stderr=True)
    for path in images:
        try:
            calls = load_calls(manifest, path)
        except DnaError as error:
            errors.fail(str(error))
            failures.append({"file": str(path), "error": str(error)})
            continue
        with errors.status(f"running {path}"):
            answers = [runtime.infer(*call) for call in calls]
        if not named:
            _print_outputs(console, path, answers)
            results += [{"file": str(path), "outputs": _outputs(each)} for each in answers]
            continue
        answer = next(iter(answers[0].values())).reshape(-1)
        probabilities = answer if runtime.gives_probabilities else softmax(answer)
        best = (-probabilities).argsort(kind="stable")[:top]
        classes = [
            {
                "index": int(index) - (offset or 0),
                "name": manifest.class_names[index],
                "probability": float(probabilities[index]),
            }
            for index in best
        ]
        _print(console, path, classes)
        results.append({"file": str(path), "classes": classes})
    if line := remark(len(manifest.class_names), offset):
        console.print(line, markup=False, highlight=False)
    write_json(
        json_file,
        {
            "artifact": str(artifact),
            "model": manifest.model,
            "engine": simulator,
            "class_offset": offset,
            "images": results,
            "failures": failures,
        },
    )
    click.get_current_context().exit(BAD_IMAGE if failures else 0)


def _outputs(answers: dict[str, Any]) -> list[dict[str, Any]]:
    """The outputs of a file for JSON."""
    return [
        {
            "name": name,
            "type": str(values.dtype),
            "shape": list(values.shape),
            "values": values.reshape(-1).tolist(),
        }
        for name, values in answers.items()
    ]


def _print_outputs(console: Console, path: Path, calls: list[dict[str, Any]]) -> None:
    from harness.host.terminal import Table

    columns = ("output", "type", "shape", "least", "greatest")
    table = Table(*(("call",) if len(calls) > 1 else ()), *columns, title=str(path))
    for number, answers in enumerate(calls):
        for name, values in answers.items():
            ends = (f"{values.min():g}", f"{values.max():g}") if values.size else ("", "")
            row = (name, str(values.dtype), str(list(values.shape)), *ends)
            table.add_row(*((str(number),) if len(calls) > 1 else ()), *row)
    console.print(table)


def _print(console: Console, path: Path, classes: list[dict[str, Any]]) -> None:
    from harness.host.terminal import Table

    table = Table(title=str(path))
    for entry in classes:
        table.add_row(f"{100 * entry['probability']:6.2f} %", entry["name"])
    console.print(table)
