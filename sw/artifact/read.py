"""Reads an artifact and checks that it means what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import safetensors
import safetensors.numpy

from hw.isa import ISA_VERSION
from sw.artifact.binding import check_programs, check_seal
from sw.artifact.host import check_host
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
    Quantization,
    Target,
)
from sw.classes import check_names
from sw.errors import DnaError
from sw.graph import Graph
from sw.host import digests
from sw.preprocessing import upgraded
from sw.program import LayerTable, MemoryMap, Program
from sw.replay import check_graph
from sw.version import VERSION

T = TypeVar("T")


_FILES = (GRAPH, CONSTANTS, CODE, WEIGHTS, LAYERS, BATCH_CODE, BATCH_LAYERS)
"""What an artifact may have besides the host's models."""


class _TargetHead(msgspec.Struct):
    isa_version: int


class _ManifestHead(msgspec.Struct):
    """What a manifest of every format has, whatever else another version put into it."""

    format_version: Annotated[int, msgspec.Meta(ge=1)]
    written_by: str = ""
    target: _TargetHead | None = None


class _GraphFile(msgspec.Struct, forbid_unknown_fields=True):
    input: str
    output: str
    tensors: Any
    operations: Any
    others: tuple[str, ...] = ()
    further: Any = ()
    states: Any = ()


def load(path: Path) -> Artifact:
    """Read and check an artifact.

    Raises:
        DnaError: it is missing or damaged, a file differs from its checksum, or a newer version of
            open DNA wrote what this one cannot read.
    """
    try:
        text = (path / MANIFEST).read_bytes()
    except OSError as error:
        raise DnaError(
            f"{path} is not an artifact: cannot read {MANIFEST} ({error.strerror}); "
            "make one with `dna quantize`"
        ) from error
    manifest, outdated_isa = _read_manifest(text, path)
    if manifest.target is None and outdated_isa is None and CODE in manifest.files:
        raise DnaError(f"{path / MANIFEST} lists {CODE} and no machine that it is for")
    batch = None if manifest.target is None else manifest.target.batch
    if manifest.target is not None and batch is None and BATCH_CODE in manifest.files:
        raise DnaError(f"{path / MANIFEST} lists {BATCH_CODE} and not how many images it computes")
    try:
        _check_files(manifest, path, read_program=manifest.target is not None)
        graph = _read_graph(path)
        _check_edges(manifest, graph, path)
        host = {name: (path / name).read_bytes() for name in manifest.host.parts}
        target = manifest.target
        if target is not None and not target.program:
            manifest = msgspec.structs.replace(manifest, target=None)
            return Artifact(manifest=manifest, graph=graph, unbound=True, host=host)
        loaded = Artifact(manifest=manifest, graph=graph, outdated_isa=outdated_isa, host=host)
        return loaded if target is None else _with_programs(loaded, target, path)
    except OSError as error:
        raise DnaError(f"cannot read {error.filename or path}: {error.strerror}") from error


def _check_files(manifest: Manifest, path: Path, *, read_program: bool) -> None:
    needed = [GRAPH, CONSTANTS, *((CODE, WEIGHTS, LAYERS) if read_program else ())]
    needed += manifest.host.parts
    if manifest.target is not None and manifest.target.batch is not None:
        needed += [BATCH_CODE, BATCH_LAYERS]
    for name in needed:
        if name not in manifest.files:
            raise DnaError(f"{path / MANIFEST} lists no {name}; make the artifact again")
    for name, expected in manifest.files.items():
        if name not in (*_FILES, *manifest.host.parts):
            raise DnaError(f"{path / MANIFEST} lists {name!r}, which no artifact has")
        file = path / name
        if not file.is_file():
            raise DnaError(f"{file} is missing; make the artifact again")
        if digests.of_file(file) != expected:
            raise DnaError(
                f"{file} differs from its checksum in {MANIFEST}; make the artifact again"
            )


def _check_edges(manifest: Manifest, graph: Graph, path: Path) -> None:
    """The manifest says how to quantize images and logits; the graph knows it, too."""
    try:
        check_host(manifest.host, graph)
    except DnaError as error:
        raise DnaError(f"{path / MANIFEST} is damaged: {error}") from error
    if len(manifest.outputs) != len(graph.answers):
        raise DnaError(
            f"{path / MANIFEST} is damaged: it has {len(manifest.outputs)} outputs, {GRAPH} has "
            f"{len(graph.answers)}"
        )
    if tuple(manifest.further) != graph.given[1:] or manifest.carries != bool(graph.states):
        raise DnaError(f"{path / MANIFEST} is damaged: its inputs are not those of {GRAPH}")
    for what, said, name in (
        ("input", manifest.input, graph.input),
        *((f"input {name!r}", said, name) for name, said in manifest.further.items()),
        *(("output", *each) for each in zip(manifest.outputs, graph.answers, strict=True)),
    ):
        tensor = graph.tensors[name]
        if said != Quantization(tensor.scale, tensor.zero_point, tensor.shape):
            raise DnaError(
                f"{path / MANIFEST} is damaged: its {what} is not that of {GRAPH}, {tensor}"
            )


def _read_manifest(text: bytes, path: Path) -> tuple[Manifest, int | None]:
    """The manifest; without its target, and with that one's instruction set, if it is older."""
    head = _decode(text, _ManifestHead, path / MANIFEST)
    _refuse_newer(head, path)
    isa = None if head.target is None else head.target.isa_version
    same = isa is None or isa == ISA_VERSION
    try:
        plain = upgraded(msgspec.json.decode(text, type=dict[str, Any]))
        # The parameters of a machine of another instruction set need not be this version's.
        manifest = msgspec.convert(plain if same else {**plain, "target": None}, type=Manifest)
        check_names(manifest.class_names, manifest.class_offset, manifest.answer_shape)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DnaError(f"{path / MANIFEST} is damaged: {error}") from error
    return manifest, None if same else isa


def _decode(text: bytes, kind: type[T], place: Path) -> T:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DnaError(f"{place} is damaged: {error}") from error


def _refuse_newer(head: _ManifestHead, path: Path) -> None:
    isa = 0 if head.target is None else head.target.isa_version
    writer = f"open DNA {head.written_by}" if head.written_by else "a newer version of open DNA"
    for what, theirs, ours in (
        ("format version", head.format_version, FORMAT_VERSION),
        ("a program of instruction set", isa, ISA_VERSION),
    ):
        if theirs > ours:
            raise DnaError(
                f"{path} has {what} {theirs}, this program reads {ours}: {writer} wrote "
                f"it, this is {VERSION}; use that version, or make the artifact again with this one"
            )


def _with_programs(network: Artifact, target: Target, path: Path) -> Artifact:
    """``network`` with the programs that its manifest has."""
    if target.digest != target.config.digest:
        raise DnaError(
            f"{path / MANIFEST} is damaged: configuration {target.config.name} has digest "
            f"{target.config.digest}, not {target.digest}"
        )
    program = _read_program(path, target, target.memory, CODE, LAYERS)
    batch = None
    if target.batch is not None:
        several, images = target.batch, target.batch.images
        if images < 2:
            raise DnaError(f"{path / MANIFEST} is damaged: a batch of {images}")
        batch = _read_program(path, target, several.memory, BATCH_CODE, BATCH_LAYERS, images)
    check_seal(target, network.manifest.files, path)
    loaded = msgspec.structs.replace(network, program=program, batch=batch)
    check_programs(loaded, target, path)
    return loaded


def _read_program(
    path: Path, target: Target, memory: MemoryMap, code: str, layers: str, images: int = 1
) -> Program:
    program = Program(
        config=target.config,
        code=(path / code).read_bytes(),
        weights=(path / WEIGHTS).read_bytes(),
        memory=memory,
        layers=_decode((path / layers).read_bytes(), list[LayerTable], path / layers),
        bandwidth=target.bandwidth,
        images=images,
    )
    for name, content, region in (
        (code, program.code, memory.program),
        (WEIGHTS, program.weights, memory.weights),
    ):
        if len(content) != region.length:
            raise DnaError(
                f"{path / name} has {len(content)} bytes where {MANIFEST} has {region.length}; "
                "compile it again with `dna compile`"
            )
    return program


def _read_graph(path: Path) -> Graph:
    plain = _decode((path / GRAPH).read_bytes(), _GraphFile, path / GRAPH)
    try:
        constants = safetensors.numpy.load_file(path / CONSTANTS)
        graph = msgspec.convert(
            {**msgspec.structs.asdict(plain), "constants": constants}, type=Graph
        )
        check_graph(graph)
    except (msgspec.MsgspecError, safetensors.SafetensorError, DnaError) as error:
        raise DnaError(f"{path} is damaged: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # safetensors has types that numpy lacks.
        raise DnaError(f"{path / CONSTANTS} is damaged: {error!r}") from error
    return graph
