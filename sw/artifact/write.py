"""Writes an artifact: whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import safetensors.numpy

from sw.artifact.binding import sealed
from sw.artifact.manifest import (
    BATCH_CODE,
    BATCH_LAYERS,
    CODE,
    CONSTANTS,
    FORMAT_VERSION,
    GRAPH,
    LAYERS,
    MANIFEST,
    WEIGHTS,
    Artifact,
    Manifest,
)
from sw.errors import DnaError
from sw.graph import Graph
from sw.program import Program


def _plain(graph: Graph) -> bytes:
    """The graph as JSON, with dtype and shape where the arrays were."""
    builtins: dict[str, Any] = {
        "input": graph.input,
        "output": graph.output,
        "tensors": graph.tensors,
        "operations": graph.operations,
        "others": graph.others,
        **({"further": graph.further} if graph.further else {}),
        **({"states": graph.states} if graph.states else {}),
    }
    return msgspec.json.format(msgspec.json.encode(builtins), indent=1)


def _table(program: Program) -> bytes:
    return msgspec.json.format(msgspec.json.encode(program.layers), indent=1)


def check_writable(path: Path) -> None:
    """Fail before the work starts, not after it, if no artifact can be written to ``path``.

    Raises:
        DnaError: ``path`` cannot be written, or holds something that is not an artifact.
    """
    if (
        path.exists()
        and not (path / MANIFEST).is_file()
        and (not path.is_dir() or any(path.iterdir()))
    ):
        raise DnaError(f"{path} exists and is not an artifact; choose another place")
    ancestor = next(folder for folder in path.absolute().parents if folder.exists())
    try:
        Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=ancestor)).rmdir()
    except OSError as error:
        raise DnaError(f"cannot write {path}: {error.strerror}") from error


def save(artifact: Artifact, path: Path) -> Artifact:
    """Write ``artifact`` to the directory ``path``, replacing an artifact that is there.

    The directory appears whole or not at all.

    Returns:
        The artifact with the checksums in its manifest.

    Raises:
        DnaError: ``path`` cannot be written, or holds something that is not an artifact.
    """
    check_writable(path)
    place = Path(os.path.realpath(path))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{place.name}-", dir=place.parent, ignore_cleanup_errors=True
        ) as work:
            new = Path(work) / "new"
            new.mkdir()
            manifest = _write_files(artifact, new)
            if place.exists():
                os.replace(place, Path(work) / "old")
            try:
                os.replace(new, place)
            except OSError:
                if (Path(work) / "old").exists():
                    os.replace(Path(work) / "old", place)
                raise
    except OSError as error:
        raise DnaError(f"cannot write {path}: {error.strerror}") from error
    return msgspec.structs.replace(artifact, manifest=manifest)


def _write_files(artifact: Artifact, folder: Path) -> Manifest:
    contents = {
        GRAPH: _plain(artifact.graph),
        CONSTANTS: safetensors.numpy.save(artifact.graph.constants),
    }
    contents |= artifact.host
    if artifact.program is not None:
        contents[CODE] = artifact.program.code
        contents[WEIGHTS] = artifact.program.weights
        contents[LAYERS] = _table(artifact.program)
    if artifact.batch is not None:
        contents[BATCH_CODE] = artifact.batch.code
        contents[BATCH_LAYERS] = _table(artifact.batch)
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    target = artifact.manifest.target
    manifest = msgspec.structs.replace(
        artifact.manifest,
        format_version=FORMAT_VERSION,
        files=dict(sorted(files.items())),
        target=None if target is None else sealed(target, files),
    )
    contents[MANIFEST] = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return manifest
