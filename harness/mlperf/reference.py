"""Puts the backend into a checkout of MLPerf's reference implementation, and takes it out again.

Every line that is added to an upstream file ends in ``MARK``; taking the backend out is deleting
these lines, which leaves the files as they were, byte by byte.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
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
        DnaError: it is no such checkout, has a file of somebody else where ours belongs, or cannot
            be written; nothing is changed then.
    """
    folder = _folder(checkout)
    if (folder / MODULE).exists() and not _is_ours(folder / MODULE):
        raise DnaError(f"{folder / MODULE} is not open DNA's; move it away. Nothing was changed")
    texts = {file: _without_marks(_read(folder / file)) for file in _files()}
    for insertion in INSERTIONS:
        text = texts[insertion.file]
        texts[insertion.file] = _inserted(text, insertion, folder / insertion.file)
    texts[MODULE] = MODULE_TEXT
    _write({folder / file: text for file, text in texts.items()})
    return [folder / file for file in texts]


def remove(checkout: Path) -> list[Path]:
    """Take the backend out of a checkout.

    Returns:
        The files that were changed or removed; none if it was not there.

    Raises:
        DnaError: it is no such checkout, or cannot be written.
    """
    folder = _folder(checkout)
    texts = {folder / file: _read(folder / file) for file in _files()}
    restored = {path: _without_marks(text) for path, text in texts.items()}
    changed = [path for path in texts if restored[path] != texts[path]]
    _write({path: restored[path] for path in changed})
    if _is_ours(folder / MODULE):
        try:
            (folder / MODULE).unlink()
        except OSError as error:
            raise DnaError(f"cannot remove {folder / MODULE}: {error.strerror}") from error
        changed.append(folder / MODULE)
    return changed


def _is_ours(module: Path) -> bool:
    return module.is_file() and _read(module).startswith(MODULE_TEXT.partition("\n")[0])


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


def _write(texts: dict[Path, str]) -> None:
    """Write all or none: each file is written beside its place before the first takes it."""
    with contextlib.ExitStack() as stack:
        new: dict[Path, Path] = {}
        try:
            for path, text in texts.items():
                place = path.resolve()
                if place.exists() and not os.access(place, os.W_OK):
                    raise DnaError(f"cannot write {path}: it is read-only; nothing was changed")
                new[place] = place.with_name(f".{place.name}.new")
                stack.callback(new[place].unlink, missing_ok=True)
                with new[place].open("wb") as file:
                    file.write(text.encode())
                    os.fsync(file.fileno())
                if place.exists():
                    shutil.copymode(place, new[place])
            for place, written in new.items():
                os.replace(written, place)
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
    end = "\r\n" if lines[places[0]].endswith("\r\n") else "\n"
    new = [f"{line}  {MARK}{end}" for line in insertion.lines]
    return "".join([*lines[:place], *new, *lines[place:]])
