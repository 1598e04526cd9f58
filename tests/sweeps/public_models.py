"""TFLite files in a folder through the commands, as a table in Markdown.

python -m tests.sweeps.public_models FOLDER [--write docs/results.md]

Each is accepted by ``dna import`` and ``dna compare``: its operators on the machine and the outputs
of the file have LiteRT's values, and so has the program for ``CONFIG`` in the interpreter. Or both
commands refuse it in the same line. Else the sweep ends with 1. With ``--write`` the table goes
between its two marks in that page.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from sim.compare.whole import random_values
from sw import artifact

MARK, END = "<!-- Written by tests.sweeps.public_models. -->", "<!-- So far. -->"
INPUTS = 3
CONFIG = "small"
NOISE = "INFO: "
"""Begins a line that LiteRT itself writes on standard error, about its delegate."""


@dataclasses.dataclass(frozen=True)
class Model:
    """What became of a file.

    Attributes:
        name: of the file, without its ending.
        share: of its multiply-accumulates on the machine, if it was accepted.
        values, differing: that were compared with LiteRT's.
        interpreted, wrongly: that the program computed in the interpreter, and that differ.
        line: in which it was refused, else empty; the table has it up to what is nearest.
        wrong: what should not be; empty if nothing.
    """

    name: str
    share: float = 0.0
    values: int = 0
    differing: int = 0
    interpreted: int = 0
    wrongly: int = 0
    line: str = ""
    wrong: str = ""

    def row(self) -> str:
        """Of the table."""
        if self.line:
            missing = self.line.partition("; nearest:")[0].replace("|", "\\|")
            return f"| {self.name} | no | | | | | | {missing} |"
        figures = (self.values, self.differing, self.interpreted, self.wrongly)
        counts = " | ".join(f"{figure:,}" for figure in figures)
        return f"| {self.name} | yes | {100 * self.share:.2f} % | {counts} | |"


def dna(*arguments: str) -> tuple[int, list[str]]:
    """The exit code of a command, and what it says on standard error."""
    command = [sys.executable, "-m", "harness.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if not line.startswith(NOISE)]
    return done.returncode, said


def tried(path: Path) -> Model:
    """A file through all commands."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = folder / "model.dna"
        taken, compared = folder / "taken.json", folder / "compared.json"
        imported, why = dna("import", str(path), "-o", str(made), "--json", str(taken))
        code, same = dna(*("compare", str(path), "--random", str(INPUTS), "--json", str(compared)))
        if (imported, code) == (0, 0):
            said, read = json.loads(taken.read_text()), json.loads(compared.read_text())
            values = read["values"] + said["whole"]["values"]
            differing = read["mismatches"] + said["whole"]["differing"]
            model = Model(path.stem, said["share"], values, differing)
            if differing or not read["values"]:
                return dataclasses.replace(model, wrong="values differ")
            return interpreted(model, made, folder)
    if (imported, code) != (2, 2) or why != same or len(why) != 1:
        return Model(path.stem, wrong=f"exit codes {imported}, {code}; {why}, {same}")
    line = why[0].removeprefix("error: ").removeprefix(f"{path}: ").replace(str(path), "it")
    return Model(path.stem, line=line)


def interpreted(model: Model, made: Path, folder: Path) -> Model:
    """``model``, with what its program for ``CONFIG`` computes in the interpreter."""
    program, given, figures = folder / "program.dna", folder / "given.npy", folder / "figures.json"
    code, said = dna("compile", str(made), "--config", CONFIG, "-o", str(program))
    if code:
        return dataclasses.replace(model, wrong=f"it does not compile: {said}")
    manifest = artifact.load(made).manifest
    kind = np.dtype("int8" if manifest.host.head is None else manifest.host.head.inputs[0].type)
    rng = np.random.default_rng(0)
    first = random_values(rng, kind, manifest.given_shape)
    if manifest.further:
        given = folder / "given.npz"
        more = {name: random_values(rng, kind, it.shape) for name, it in manifest.further.items()}
        np.savez(given, input=first, **more)
    else:
        np.save(given, first)
    code, said = dna(
        *("verify", str(program), "--engine", "interpreter", "--image", str(given)),
        *("--json", str(figures)),
    )
    if code > 1:
        return dataclasses.replace(model, wrong=f"it is not interpreted: {said}")
    read = json.loads(figures.read_text())
    wrong = "" if read["values"] and not read["mismatches"] else "interpreted values differ"
    return dataclasses.replace(
        model, interpreted=read["values"], wrongly=read["mismatches"], wrong=wrong
    )


def table(models: list[Model]) -> str:
    """The page's part."""
    head = [
        "| model | accepted | MACs on the machine | values compared | differ "
        "| interpreted | differ | what is missing |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(model.row() for model in models)])


def written(page: str, part: str) -> str:
    """``page`` with ``part`` between the two marks."""
    front, mark, rest = page.partition(MARK)
    _, end, back = rest.partition(END)
    if not mark or not end:
        raise SystemExit(f"the page has no part between {MARK} and {END}")
    return f"{front}{MARK}\n\n{part}\n\n{END}{back}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    options = parser.parse_args()
    models = [tried(path) for path in sorted(options.folder.glob("*.tflite"))]
    if options.write:
        options.write.write_text(written(options.write.read_text(), table(models)))
    else:
        print(table(models))
    bad = [model for model in models if model.wrong]
    for model in bad:
        print(f"{model.name}: {model.wrong}")
    accepted = sum(not (model.line or model.wrong) for model in models)
    values = sum(model.values + model.interpreted for model in models)
    print(f"{len(models)} files, {accepted} accepted, {values:,} values, {len(bad)} wrong")
    raise SystemExit(1 if bad or not models else 0)


if __name__ == "__main__":
    main()
