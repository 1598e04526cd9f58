"""The deployed form of a network: a directory that is checked whole before anything runs.

    manifest.json          what this is, for which machine, and the sha256 of every other file
    graph.json             the integer graph without its arrays
    constants.safetensors  the arrays

and of a network that was compiled for a machine (``dna compile``) also

    program.bin            the instructions
    weights.bin            the weight streams
    layers.json            what each layer of the program does, and where its output is

Nothing here needs the framework that the network came from.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

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


class Artifact(msgspec.Struct, frozen=True):
    """A network ready to run: its manifest, its integer graph, and its program if compiled."""

    manifest: Manifest
    graph: Graph
    program: Program | None = None


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
    manifest = msgspec.structs.replace(artifact.manifest, target=target)
    return Artifact(manifest=manifest, graph=artifact.graph, program=program)


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
        DnaError: it is missing, of another format version, or a file differs from its checksum.
    """
    try:
        text = (path / MANIFEST).read_bytes()
    except OSError as error:
        raise DnaError(
            f"{path} is not an artifact: cannot read {MANIFEST} ({error.strerror}); "
            "make one with `dna quantize`"
        ) from error
    manifest = _read_manifest(text, path)
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
    program = None if manifest.target is None else _read_program(path, manifest.target)
    return Artifact(manifest=manifest, graph=_read_graph(path), program=program)


def _read_manifest(text: bytes, path: Path) -> Manifest:
    try:
        version = msgspec.json.decode(text, type=dict[str, Any]).get("format_version")
        if version != FORMAT_VERSION:
            raise DnaError(
                f"{path} has format version {version!r}, this program reads {FORMAT_VERSION}; "
                "make the artifact again"
            )
        return msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError as error:
        raise DnaError(f"{path / MANIFEST} is damaged: {error}") from error


def _read_program(path: Path, target: Target) -> Program:
    if target.isa_version != ISA_VERSION:
        raise DnaError(
            f"{path} has a program of ISA version {target.isa_version}, this program reads "
            f"{ISA_VERSION}; compile it again with `dna compile`"
        )
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
