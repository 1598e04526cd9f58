"""The deployed form of a network: a directory that is checked whole before anything runs.

    manifest.json          what this is, for which machine, and the sha256 of every other file
    graph.json             the integer graph without its arrays
    constants.safetensors  the arrays

and of a network that was compiled for a machine (``dna compile``) also

    program.bin            the instructions
    weights.bin            the weight streams
    layers.json            what each layer of the program does, and where its output is

Nothing here needs the framework that the network came from. What happens to an artifact that
another version of open DNA wrote:

- of an older format, or with a program of an older instruction set: it loads, without its program.
  Its graph runs, compares and compiles as ever; what needs the program (:func:`program_of`) asks
  for a new one.
- of a newer format or instruction set: it is refused, and the line says which version wrote it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import safetensors
import safetensors.numpy

from hw.config import DnaConfig
from hw.isa import ISA_VERSION
from sw import digests
from sw.errors import DnaError
from sw.graph import Graph
from sw.program import LayerTable, MemoryMap, Program
from sw.version import VERSION

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
GRAPH = "graph.json"
CONSTANTS = "constants.safetensors"
CODE = "program.bin"
WEIGHTS = "weights.bin"
LAYERS = "layers.json"


class Quantization(msgspec.Struct, frozen=True):
    """Scale and zero point at an edge of the network: ``real = scale * (value - zero_point)``."""

    scale: float
    zero_point: int
    shape: tuple[int, ...]


class Target(msgspec.Struct, frozen=True):
    """The machine that a network was compiled for.

    Attributes:
        isa_version: of the program.
        config: all parameters of the machine.
        digest: of ``config``, as the machine checks it.
        memory: the memory window.
    """

    isa_version: int
    config: DnaConfig
    digest: str
    memory: MemoryMap


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What ``manifest.json`` holds.

    Attributes:
        format_version: of this directory's layout.
        model: what the network is called in reports.
        framework: the framework that quantized it.
        preprocessing: name of the preprocessing that its images need (``harness.data.preprocess``).
        input: quantization and shape of the input tensor.
        output: quantization and shape of the logits.
        class_names: one per logit.
        files: sha256 of every other file by name.
        target: the machine that the program is for, if there is a program.
        written_by: the version of open DNA that wrote it; empty before 0.2.0.
    """

    format_version: int
    model: str
    framework: str
    preprocessing: str
    input: Quantization
    output: Quantization
    class_names: list[str]
    files: dict[str, str] = {}
    target: Target | None = None
    written_by: str = ""


class _TargetHead(msgspec.Struct):
    isa_version: int


class _ManifestHead(msgspec.Struct):
    """What a manifest of every format has, whatever else another version put into it."""

    format_version: Annotated[int, msgspec.Meta(ge=1)]
    written_by: str = ""
    target: _TargetHead | None = None


class Artifact(msgspec.Struct, frozen=True):
    """A network ready to run: its manifest, its integer graph, and its program if compiled.

    Attributes:
        manifest: what it is.
        graph: the integer graph.
        program: compiled from the graph, if it was.
        outdated_isa: the older instruction set that the program on disk is for, which was then not
            read: ``program`` and the manifest's ``target`` are None.
    """

    manifest: Manifest
    graph: Graph
    program: Program | None = None
    outdated_isa: int | None = None


def make(
    graph: Graph, *, model: str, framework: str, preprocessing: str, class_names: list[str]
) -> Artifact:
    """Describe ``graph`` as an artifact.

    Raises:
        DnaError: the number of class names differs from the number of logits.
    """
    source, target = graph.tensors[graph.input], graph.tensors[graph.output]
    classes = int(np.prod(target.shape))
    if len(class_names) != classes:
        raise DnaError(f"{len(class_names)} class names for {classes} logits")
    return Artifact(
        manifest=Manifest(
            format_version=FORMAT_VERSION,
            model=model,
            framework=framework,
            preprocessing=preprocessing,
            input=Quantization(source.scale, source.zero_point, source.shape),
            output=Quantization(target.scale, target.zero_point, target.shape),
            class_names=class_names,
            written_by=VERSION,
        ),
        graph=graph,
    )


def with_program(artifact: Artifact, program: Program) -> Artifact:
    """``artifact`` with a program that was compiled from its graph."""
    target = Target(
        isa_version=ISA_VERSION,
        config=program.config,
        digest=program.config.digest,
        memory=program.memory,
    )
    manifest = msgspec.structs.replace(artifact.manifest, target=target, written_by=VERSION)
    return Artifact(manifest=manifest, graph=artifact.graph, program=program)


def program_of(artifact: Artifact, path: Path) -> Program:
    """The program of ``artifact``, which was read from ``path``, for what cannot do without.

    Raises:
        DnaError: it was not compiled, or for an older instruction set.
    """
    if artifact.program is not None:
        return artifact.program
    if artifact.outdated_isa is None:
        raise DnaError(f"{path} has no program; make one with `dna compile {path} --config NAME`")
    raise DnaError(
        f"{path} was compiled for instruction set {artifact.outdated_isa}, this version of open "
        f"DNA has {ISA_VERSION}; recompile it with `dna compile {path} --config NAME`"
    )


def network_digest(artifact: Artifact) -> str:
    """Changes with the network, its graph and its constants, and with nothing else.

    Args:
        artifact: that was saved or loaded: one that was only made has no files yet.
    """
    files = artifact.manifest.files
    return hashlib.sha256((files[GRAPH] + files[CONSTANTS]).encode()).hexdigest()


def _plain(graph: Graph) -> bytes:
    """The graph as JSON, with dtype and shape where the arrays were."""
    builtins: dict[str, Any] = {
        "input": graph.input,
        "output": graph.output,
        "tensors": graph.tensors,
        "operations": graph.operations,
    }
    return msgspec.json.format(msgspec.json.encode(builtins), indent=1)


class _GraphFile(msgspec.Struct, forbid_unknown_fields=True):
    input: str
    output: str
    tensors: Any
    operations: Any


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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise DnaError(f"cannot write {path}: {error.strerror}") from error
    try:
        (work / GRAPH).write_bytes(_plain(artifact.graph))
        safetensors.numpy.save_file(artifact.graph.constants, work / CONSTANTS)
        if artifact.program is not None:
            (work / CODE).write_bytes(artifact.program.code)
            (work / WEIGHTS).write_bytes(artifact.program.weights)
            layers = msgspec.json.encode(artifact.program.layers)
            (work / LAYERS).write_bytes(msgspec.json.format(layers, indent=1))
        files = {file.name: digests.of_file(file) for file in sorted(work.iterdir())}
        manifest = msgspec.structs.replace(artifact.manifest, files=files)
        (work / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        work.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        os.replace(work, path)
    except OSError as error:
        raise DnaError(f"cannot write {path}: {error.strerror}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return msgspec.structs.replace(artifact, manifest=manifest)


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
    compiled = () if manifest.target is None else (CODE, WEIGHTS, LAYERS)
    for name in (GRAPH, CONSTANTS, *compiled):
        if name not in manifest.files:
            raise DnaError(f"{path / MANIFEST} lists no {name}; make the artifact again")
    for name, expected in manifest.files.items():
        file = path / name
        if not file.is_file():
            raise DnaError(f"{file} is missing; make the artifact again")
        if digests.of_file(file) != expected:
            raise DnaError(
                f"{file} differs from its checksum in {MANIFEST}; make the artifact again"
            )
    return Artifact(
        manifest=manifest,
        graph=_read_graph(path),
        program=None if manifest.target is None else _read_program(path, manifest.target),
        outdated_isa=outdated_isa,
    )


def _read_manifest(text: bytes, path: Path) -> tuple[Manifest, int | None]:
    """The manifest; without its target, and with that one's instruction set, if it is older."""
    try:
        head = msgspec.json.decode(text, type=_ManifestHead)
        _refuse_newer(head, path)
        isa = None if head.target is None else head.target.isa_version
        if isa is None or isa == ISA_VERSION:
            return msgspec.json.decode(text, type=Manifest), None
        # The parameters of a machine of another instruction set need not be this version's.
        plain = msgspec.json.decode(text, type=dict[str, Any])
        return msgspec.convert({**plain, "target": None}, type=Manifest), isa
    except msgspec.MsgspecError as error:
        raise DnaError(f"{path / MANIFEST} is damaged: {error}") from error


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


def _read_program(path: Path, target: Target) -> Program:
    if target.digest != target.config.digest:
        raise DnaError(
            f"{path / MANIFEST} is damaged: configuration {target.config.name} has digest "
            f"{target.config.digest}, not {target.digest}"
        )
    try:
        layers = msgspec.json.decode((path / LAYERS).read_bytes(), type=list[LayerTable])
    except msgspec.MsgspecError as error:
        raise DnaError(f"{path / LAYERS} is damaged: {error}") from error
    program = Program(
        config=target.config,
        code=(path / CODE).read_bytes(),
        weights=(path / WEIGHTS).read_bytes(),
        memory=target.memory,
        layers=layers,
    )
    for name, content, region in (
        (CODE, program.code, target.memory.program),
        (WEIGHTS, program.weights, target.memory.weights),
    ):
        if len(content) != region.length:
            raise DnaError(
                f"{path / name} has {len(content)} bytes where {MANIFEST} has {region.length}; "
                "compile it again with `dna compile`"
            )
    return program


def _read_graph(path: Path) -> Graph:
    try:
        plain = msgspec.json.decode((path / GRAPH).read_bytes(), type=_GraphFile)
        constants = safetensors.numpy.load_file(path / CONSTANTS)
        return msgspec.convert(
            {**msgspec.structs.asdict(plain), "constants": constants}, type=Graph
        )
    except (msgspec.MsgspecError, safetensors.SafetensorError) as error:
        raise DnaError(f"{path} is damaged: {error}") from error
