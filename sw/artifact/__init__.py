"""The deployed form of a network: a directory that is checked whole before anything runs.

    manifest.json          what this is, for which machine, and the sha256 of every other file
    graph.json             the integer graph without its arrays
    constants.safetensors  the arrays

and of a network that was compiled for a machine (``dna compile``) also

    program.bin            the instructions
    weights.bin            the weight streams
    layers.json            what each layer of the program does, and where its output is

of a network of which the host runs a part (:mod:`sw.artifact.host`)

    head.model, tail.model what it runs, models of the file's own runtime

and with ``--images`` the same of a program that computes several images, with the same weights

    batch.bin, batch.json

Nothing here needs the framework that the network came from. An artifact that loads means what it
says: its graph is what :class:`sw.graph_builder.GraphBuilder` makes of it, and its program is what
the compiler makes of that graph (or, if another version of the compiler made it, is bound to the
graph by digest and within the machine's memories). What happens to an artifact that
another version of open DNA wrote:

- of an older format, or with a program of an older instruction set: it loads, without its program.
  Its graph runs, compares and compiles as ever; what needs the program (:func:`program_of`) asks
  for a new one.
- with a program of 0.2.0 or earlier, which does not say of which network it is: the same.
- of a newer format or instruction set: it is refused, and the line says which version wrote it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from hw.isa import ISA_VERSION
from sw.artifact.binding import compiler_digest, network_digest
from sw.artifact.host import Host, check_host
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
    Batch,
    Manifest,
    Quantization,
    Target,
)
from sw.artifact.read import load
from sw.artifact.write import check_writable, save
from sw.classes import check_classes, describe
from sw.errors import DnaError
from sw.graph import Graph
from sw.preprocessing import Preprocessing, named
from sw.program import Program
from sw.version import VERSION

__all__ = [
    "BATCH_CODE",
    "BATCH_LAYERS",
    "CODE",
    "CONSTANTS",
    "FORMAT_VERSION",
    "GRAPH",
    "LAYERS",
    "MANIFEST",
    "WEIGHTS",
    "Artifact",
    "Manifest",
    "Quantization",
    "Target",
    "batch_of",
    "check_writable",
    "load",
    "make",
    "network_digest",
    "program_of",
    "save",
    "with_program",
]


def make(
    graph: Graph,
    *,
    model: str,
    framework: str,
    preprocessing: Preprocessing | str | None,
    class_names: list[str] | None = None,
    class_offset: int | None = None,
    host: Host = Host(),  # noqa: B008 (immutable)
    models: Mapping[str, bytes] = MappingProxyType({}),
) -> Artifact:
    """Describe ``graph`` as an artifact.

    ``preprocessing`` may be the name of one (:data:`sw.preprocessing.NAMES`); names and offset of
    the classes are those that :func:`sw.classes.describe` finds, with what is said here. ``models``
    are those of ``host``, by the name of their file.

    Raises:
        DnaError: the number of class names differs from the number of logits, the output has no
            logits to be named, or the preprocessing does not fit the input.
    """
    check_host(host, graph)
    further = graph.given[1:]
    edges = [
        Quantization(tensor.scale, tensor.zero_point, tensor.shape)
        for tensor in (graph.tensors[name] for name in (*further, graph.input, *graph.answers))
    ]
    source, target, *others = edges[len(further) :]
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        model=model,
        framework=framework,
        preprocessing=None,
        input=source,
        output=target,
        class_names=[],
        written_by=VERSION,
        others=tuple(others),
        further=dict(zip(further, edges, strict=False)),
        carries=bool(graph.states),
        host=host,
    )
    if isinstance(preprocessing, str):
        preprocessing = named(preprocessing, manifest.given_shape)
    elif preprocessing is not None:
        preprocessing.check(manifest.given_shape)
    if manifest.classifies:
        classes = describe(math.prod(target.shape), class_names, class_offset)
        class_names, class_offset = classes.names, classes.offset
    elif class_names is not None or class_offset is not None:
        check_classes(model, manifest.answer_shape)
    manifest = msgspec.structs.replace(
        manifest,
        preprocessing=preprocessing,
        class_names=class_names or [],
        class_offset=class_offset,
    )
    return Artifact(manifest=manifest, graph=graph, host=dict(models))


def with_program(artifact: Artifact, program: Program, batch: Program | None = None) -> Artifact:
    """``artifact`` with programs that this version's compiler made of its graph.

    Args:
        artifact: of the graph.
        program: of one image.
        batch: of several, for the same machine and the same memory.
    """
    assert batch is None or batch.weights == program.weights
    target = Target(
        isa_version=ISA_VERSION,
        config=program.config,
        digest=program.config.digest,
        memory=program.memory,
        bandwidth=program.bandwidth,
        compiler=compiler_digest(),
        batch=None if batch is None else Batch(batch.images, batch.memory),
    )
    manifest = msgspec.structs.replace(artifact.manifest, target=target, written_by=VERSION)
    return Artifact(
        manifest=manifest,
        graph=artifact.graph,
        program=program,
        batch=batch,
        host=artifact.host,
    )


def program_of(artifact: Artifact, path: Path) -> Program:
    """The program of ``artifact``, which was read from ``path``, for what cannot do without.

    Raises:
        DnaError: it was not compiled, or by an older version whose program is not read.
    """
    if artifact.program is not None:
        return artifact.program
    if artifact.unbound:
        raise DnaError(
            f"{path} was compiled by an older version of open DNA, whose programs do not say which "
            f"network they are of; recompile it with `dna compile {path} --config NAME`"
        )
    if artifact.outdated_isa is None:
        raise DnaError(f"{path} has no program; make one with `dna compile {path} --config NAME`")
    raise DnaError(
        f"{path} was compiled for instruction set {artifact.outdated_isa}, this version of open "
        f"DNA has {ISA_VERSION}; recompile it with `dna compile {path} --config NAME`"
    )


def batch_of(artifact: Artifact, path: Path) -> Program:
    """The program of several images of ``artifact``, which was read from ``path``.

    Raises:
        DnaError: there is none.
    """
    program = program_of(artifact, path)
    if artifact.batch is None:
        raise DnaError(
            f"{path} has only the program of one image; "
            f"`dna compile {path} --config {program.config.name} --images N` makes one of several"
        )
    return artifact.batch
