"""TFLite files in a folder through ``dna import`` and ``dna compare``, as a table in Markdown.

python -m tests.sweeps.public_models FOLDER [--write docs/results.md]

Each is accepted by both commands and has LiteRT's values, or both refuse it in the same line; else
the sweep ends with 1. With ``--write`` the table goes between its two marks in that page.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path

MARK, END = "<!-- Written by tests.sweeps.public_models. -->", "<!-- So far. -->"
INPUTS = 3
NOISE = "INFO: "
"""Begins a line that LiteRT itself writes on standard error, about its delegate."""


@dataclasses.dataclass(frozen=True)
class Model:
    """What became of a file.

    Attributes:
        name: of the file, without its ending.
        values, differing: that were compared, if it was accepted.
        line: in which it was refused, else empty; the table has it up to what is nearest.
        wrong: what should not be; empty if nothing.
    """

    name: str
    values: int = 0
    differing: int = 0
    line: str = ""
    wrong: str = ""

    def row(self) -> str:
        """Of the table."""
        if self.line:
            missing = self.line.partition("; nearest:")[0].replace("|", "\\|")
            return f"| {self.name} | no | | | {missing} |"
        return f"| {self.name} | yes | {self.values:,} | {self.differing:,} | |"


def dna(*arguments: str) -> tuple[int, list[str]]:
    """The exit code of a command, and what it says on standard error."""
    command = [sys.executable, "-m", "harness.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if not line.startswith(NOISE)]
    return done.returncode, said


def tried(path: Path) -> Model:
    """A file through both commands."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "compared.json"
        imported, why = dna("import", str(path), "-o", str(Path(folder) / "model.dna"))
        compared, same = dna(
            *("compare", str(path), "--random", str(INPUTS), "--json", str(figures))
        )
        if (imported, compared) == (0, 0):
            read = json.loads(figures.read_text())
            wrong = "" if read["values"] and not read["mismatches"] else "values differ"
            return Model(path.stem, read["values"], read["mismatches"], wrong=wrong)
    if (imported, compared) != (2, 2) or why != same or len(why) != 1:
        return Model(path.stem, wrong=f"exit codes {imported}, {compared}; {why}, {same}")
    line = why[0].removeprefix("error: ").removeprefix(f"{path}: ").replace(str(path), "it")
    return Model(path.stem, line=line)


def table(models: list[Model]) -> str:
    """The page's part."""
    head = [
        "| model | accepted | values compared | differ | what is missing |",
        "|---|---|---|---|---|",
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
    values = sum(model.values for model in models)
    print(f"{len(models)} files, {accepted} accepted, {values:,} values, {len(bad)} wrong")
    raise SystemExit(1 if bad or not models else 0)


if __name__ == "__main__":
    main()
