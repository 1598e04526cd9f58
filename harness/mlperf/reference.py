"""Puts the backend into a checkout of MLPerf's reference implementation, and takes it out again.

Every line that is added to an upstream file ends in ``MARK``; taking the backend out is deleting
these lines, which leaves the files as they were, byte by byte.
"""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

from harness.mlperf.backend import DEFAULT_CONFIG, INPUT, NO_MODEL_DIR
from sw.errors import DnaError

FOLDER = Path("vision/classification_and_detection")
MARK = "# open-dna"
MODULE = Path("python/backend_dna.py")
NAMES = ("dna", "edgecortix")

MODULE_TEXT = '''"""The backend of open DNA, put here by `dna backend install`."""

import backend
from harness.mlperf.backend import DnaBackend, prepare  # noqa: F401


class BackendDna(DnaBackend, backend.Backend):
    """harness.mlperf.backend.DnaBackend as one of the reference's backends."""
'''


@dataclasses.dataclass(frozen=True)
class Insertion:
    """Lines for an upstream file.

    Attributes:
        file: in the reference's folder.
        anchor: matches one line of it from its beginning.
        before: whether the new lines go before that line, else behind it.
        lines: without the mark.
    """

    file: Path
    anchor: str
    before: bool
    lines: tuple[str, ...]


_MAIN, _SHELL = Path("python/main.py"), Path("run_common.sh")
_IS_OURS = " || ".join(f'[ "$backend" = {name} ]' for name in NAMES)
_IN_ARGUMENTS = "|".join(f'*" {name} "*' for name in NAMES)
_CONFIG_HELP = f"the machine; default {DEFAULT_CONFIG}"
INSERTIONS = (
    Insertion(
        _SHELL,
        r"#!",
        False,
        (f'case " $* " in {_IN_ARGUMENTS}) MODEL_DIR="${{MODEL_DIR:-{NO_MODEL_DIR}}}";; esac',),
    ),
    Insertion(_SHELL, r"\s*case \$i in", False, (f"{'|'.join(NAMES)}) backend=$i; shift;;",)),
    Insertion(
        _SHELL,
        r'name="\$backend-\$device/\$model"',
        True,
        (f'if {_IS_OURS}; then model_path="$MODEL_DIR"; profile="$model-dna"; fi',),
    ),
    Insertion(
        _MAIN,
        r"SUPPORTED_PROFILES = \{",
        False,
        (
            f'    "resnet50-dna": {{"inputs": "{INPUT}", "outputs": "logits", "backend": "dna", '
            '"model-name": "resnet50", "max-batchsize": 1},',
        ),
    ),
    Insertion(
        _MAIN,
        r"    args = parser\.parse_args\(\)",
        True,
        (
            '    parser.add_argument("--dataset-calibration-list", help="names of photographs")',
            f'    parser.add_argument("--dna-config", help="{_CONFIG_HELP}")',
        ),
    ),
    Insertion(
        _MAIN,
        r"    args = parser\.parse_args\(\)",
        False,
        ('    if args.profile == "resnet50-dna": __import__("backend_dna").prepare(args)',),
    ),
    Insertion(
        _MAIN,
        r"def get_backend\(backend\):",
        False,
        ('    if backend == "dna": return __import__("backend_dna").BackendDna()',),
    ),
)


def install(checkout: Path) -> list[Path]:
    """Put the backend into a checkout; one that is there already is replaced.

    Args:
        checkout: the root of mlcommons/inference, v1.1 or later.

    Returns:
        The files that were changed or made.

    Raises:
        DnaError: it is no such checkout (nothing is changed then), or cannot be written.
    """
    folder = _folder(checkout)
    texts = {file: _without_marks(_read(folder / file)) for file in _files()}
    for insertion in INSERTIONS:
        text = texts[insertion.file]
        texts[insertion.file] = _inserted(text, insertion, folder / insertion.file)
    texts[MODULE] = MODULE_TEXT
    for file, text in texts.items():
        _write(folder / file, text)
    return [folder / file for file in texts]


def remove(checkout: Path) -> list[Path]:
    """Take the backend out of a checkout.

    Returns:
        The files that were changed or removed; none if it was not there.

    Raises:
        DnaError: it is no such checkout, or cannot be written.
    """
    folder = _folder(checkout)
    changed = []
    for file in _files():
        text = _read(folder / file)
        if MARK in text:
            _write(folder / file, _without_marks(text))
            changed.append(folder / file)
    if (folder / MODULE).is_file():
        (folder / MODULE).unlink()
        changed.append(folder / MODULE)
    return changed


def needs_old_loadgen(checkout: Path) -> bool:
    """Whether its ``main.py`` was written for LoadGen before 2.0, which reported latencies."""
    return "process_latencies" in _read(_folder(checkout) / _MAIN)


def _files() -> list[Path]:
    return list(dict.fromkeys(insertion.file for insertion in INSERTIONS))


def _folder(checkout: Path) -> Path:
    folder = checkout / FOLDER
    for file in _files():
        if not (folder / file).is_file():
            raise DnaError(
                f"{checkout} is no checkout of mlcommons/inference: {FOLDER / file} is missing"
            )
    return folder


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DnaError(f"cannot read {path}: {error}") from error


def _write(path: Path, text: str) -> None:
    try:
        with path.open("wb") as file:
            file.write(text.encode())
            os.fsync(file.fileno())
    except OSError as error:
        raise DnaError(f"cannot write {path}: {error.strerror}") from error


def _without_marks(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.rstrip().endswith(MARK))


def _inserted(text: str, insertion: Insertion, path: Path) -> str:
    lines = text.splitlines(keepends=True)
    places = [n for n, line in enumerate(lines) if re.match(insertion.anchor, line)]
    if len(places) != 1:
        raise DnaError(
            f"{path} is unlike the versions that are known: {len(places)} lines, not one, match "
            f"{insertion.anchor!r}; nothing was changed"
        )
    place = places[0] if insertion.before else places[0] + 1
    new = [f"{line}  {MARK}\n" for line in insertion.lines]
    return "".join([*lines[:place], *new, *lines[place:]])
