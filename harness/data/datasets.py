"""A data set as MLPerf lays out ImageNet: a folder of photographs and lists of them.

    DATA_DIR/val_map.txt              FILE LABEL, one a line; label 0 to 999 in ImageNet
    DATA_DIR/*.JPEG                   the photographs, here or in val/; or arrays, *.npy
    cal_image_list_option_1.txt       FILE, one a line
    cal_image_list_option_2.txt       FILE NUMBER, one a line

The second column of MLPerf's option 2 counts the lines; it is no label. Whoever reads a list to
calibrate with says so, and the column is ignored. How many classes there are the network says.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sw.errors import DnaError

VAL_MAP = "val_map.txt"
VAL_DIR = "val"
DATA_DIR_VARIABLE = "DATA_DIR"


class Entry(NamedTuple):
    """One line of a list: a file name relative to the folder of photographs, and its class.

    ``label`` is None where the list has none; ``line`` counts from 1.
    """

    name: str
    label: int | None
    line: int


def read_list(path: Path, *, calibration: bool = False) -> list[Entry]:
    """Read a list of photographs: ``FILE`` or ``FILE LABEL`` on every line.

    Args:
        path: the list.
        calibration: a second column is a running number as in MLPerf's option 2, not a label.

    Raises:
        DnaError: the list is missing, empty or not text, a line is empty or has too many columns,
            ends in CRLF, names a file outside the folder, has a label that is no number, or some
            lines have labels and some have none. The message names the line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DnaError(f"cannot read list {path}: {error.strerror}") from error
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise DnaError(f"list {path} is not text: {error.reason}") from error
    lines = text.removesuffix("\n").split("\n")
    if lines == [""]:
        raise DnaError(f"list {path} is empty; it needs one `FILE LABEL` or `FILE` a line")
    entries = [
        _entry(line, number, f"{path} line {number}", calibration)
        for number, line in enumerate(lines, 1)
    ]
    for entry in entries:
        if (entry.label is None) != (entries[0].label is None):
            have = "no label" if entry.label is None else "a label"
            raise DnaError(f"{path} line {entry.line} has {have}, unlike line 1")
    return entries


def _entry(line: str, number: int, where: str, calibration: bool) -> Entry:
    if "\r" in line:
        raise DnaError(f"{where} ends in CRLF (Windows); convert the list: sed -i 's/\\r$//' FILE")
    columns = line.split()
    if not columns:
        raise DnaError(f"{where} is empty; remove it")
    if len(columns) > 2:
        raise DnaError(f"{where} has {len(columns)} columns, not `FILE LABEL` or `FILE`: {line!r}")
    name = PurePosixPath(columns[0])
    if name.is_absolute() or ".." in name.parts:
        raise DnaError(f"{where}: {columns[0]!r} leads out of the folder of photographs")
    if len(columns) == 1:
        return Entry(columns[0], None, number)
    if not re.fullmatch(r"[0-9]{1,9}", columns[1]):
        raise DnaError(f"{where}: label {columns[1]!r} is not a number from 0 on")
    return Entry(columns[0], None if calibration else int(columns[1]), number)


def data_dir_from(option: Path | None) -> Path | None:
    """The folder of photographs: ``option``, else the environment's DATA_DIR, else None."""
    if option is not None:
        return option
    value = os.environ.get(DATA_DIR_VARIABLE)
    return Path(value) if value else None


class Dataset:
    """Photographs on disk, in the order of a list, with their labels.

    All files are found before any work begins; none is decoded here.

    Attributes:
        data_dir: the folder that was given.
        list_file: the list that was read.
        paths: one file per line.
        labels: one class per line, or None where the list has none.

    Raises:
        DnaError: the folder or list cannot be used (see :func:`read_list`) or photographs are
            missing; the message names the first and counts them.
    """

    paths: list[Path]
    labels: list[int | None]

    def __init__(
        self, data_dir: Path, list_file: Path | None = None, *, calibration: bool = False
    ) -> None:
        """Read a list.

        Args:
            data_dir: folder of the photographs; they may also be in ``val`` inside it.
            list_file: which photographs; default ``val_map.txt`` in ``data_dir``.
            calibration: ignore a second column; see :func:`read_list`.
        """
        self.data_dir = Path(data_dir)
        if not self.data_dir.is_dir():
            raise DnaError(f"data folder {self.data_dir} is missing or not a folder")
        self.list_file = self._default_list() if list_file is None else Path(list_file)
        entries = read_list(self.list_file, calibration=calibration)
        found = [self._find(entry.name) for entry in entries]
        missing = [entry for entry, path in zip(entries, found, strict=True) if path is None]
        if missing:
            raise DnaError(
                f"{self.list_file} line {missing[0].line}: no file {missing[0].name} in "
                f"{self.data_dir} or its {VAL_DIR}/ ({len(missing)} of {len(entries)} are missing)"
            )
        self.paths = [path for path in found if path is not None]
        self.labels = [entry.label for entry in entries]

    def __len__(self) -> int:
        return len(self.paths)

    def check_labels(self, classes: int, count: int | None = None) -> None:
        """Fail if no accuracy can be told.

        Args:
            classes: of the network.
            count: how many lines count; default: all.

        Raises:
            DnaError: one of them has no label, or one that is no class of the network; the message
                names the line.
        """
        for number, label in enumerate(self.labels[:count], 1):
            if label is None or label >= classes:
                what = "no label" if label is None else f"label {label}, of {classes} classes"
                raise DnaError(
                    f"{self.list_file} line {number} has {what}: no accuracy can be told"
                )

    def _default_list(self) -> Path:
        path = self.data_dir / VAL_MAP
        beside = self.data_dir.parent / VAL_MAP
        if not path.is_file() and self.data_dir.name == VAL_DIR and beside.is_file():
            return beside
        if not path.is_file():
            raise DnaError(f"{self.data_dir} has no {VAL_MAP}; name the list of photographs")
        return path

    def _find(self, name: str) -> Path | None:
        for path in (self.data_dir / name, self.data_dir / VAL_DIR / name):
            if path.is_file():
                return path
        return None
