"""Names of classes from a file: lines in order, ``INDEX NAME`` lines, or JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

from sw.errors import DnaError

_INDEXED = re.compile(r"\s*(\d+)(?:\s*[:,]\s*|\s+)(\S.*)")


def read_labels(path: Path) -> list[str]:
    """The names in ``path``, by index.

    It is text with a name a line; or with ``INDEX NAME`` on every line, in any order; or JSON: an
    array of names, or an object of them by index (of several names, as Keras' file has them, the
    last).

    Raises:
        DnaError: the file cannot be read or is empty, or an index has two names or none.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        names = _from_json(json.loads(text)) if path.suffix == ".json" else _from_lines(text)
    except OSError as error:
        raise DnaError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # of decode and json.loads, too
        raise DnaError(f"cannot read {path} as names of classes: {error}") from error
    return names


def _from_lines(text: str) -> list[str]:
    lines = text.split("\n")
    lines = [line.strip() for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ValueError("it is empty")
    for number, line in enumerate(lines, 1):
        if not line:
            raise ValueError(f"line {number} is empty, so that the names behind it would shift")
    matches = [_INDEXED.fullmatch(line) for line in lines]
    pairs = [(int(match[1]), match[2].strip()) for match in matches if match]
    if len(pairs) < len(lines):
        return lines
    return _ordered(pairs)


def _from_json(content: object) -> list[str]:
    if isinstance(content, list):
        pairs = list(enumerate(content))
    elif isinstance(content, dict):
        for index in content:
            if not re.fullmatch(r"\d{1,9}", index):
                raise ValueError(f"{index!r} is no index")
        pairs = [(int(index), name) for index, name in content.items()]
    else:
        raise ValueError("it is no array of names and no object of them by index")
    named = []
    for index, name in pairs:
        last = name[-1] if isinstance(name, list) and name else name
        if not isinstance(last, str):
            raise ValueError(f"the name of {index} is {name!r}, no text")
        named.append((index, last))
    if not named:
        raise ValueError("it is empty")
    return _ordered(named)


def _ordered(pairs: list[tuple[int, str]]) -> list[str]:
    names = dict(pairs)
    if len(names) < len(pairs):
        seen = [index for index, _ in pairs]
        twice = next(index for index in seen if seen.count(index) > 1)
        raise ValueError(f"index {twice} has two names")
    missing = next((index for index in range(len(names)) if index not in names), None)
    if missing is not None:
        raise ValueError(f"index {missing} has no name; they count from 0")
    return [names[index] for index in range(len(names))]
