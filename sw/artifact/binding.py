"""What binds a program to its network: digests in the manifest, and the compiler itself.

The compiler gives the same bytes for the same graph, machine and bandwidth. So a program that this
version's compiler made is checked by compiling again; of one that another version's compiler made
:mod:`sw.artifact.foreign` checks what can be checked without knowing that compiler.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import platformdirs

import hw
import sw
from sw.artifact.foreign import check_foreign
from sw.artifact.host import HEAD, TAIL
from sw.artifact.manifest import (
    BATCH_CODE,
    BATCH_LAYERS,
    CODE,
    CONSTANTS,
    GRAPH,
    LAYERS,
    WEIGHTS,
    Artifact,
    Target,
)
from sw.errors import DnaError
from sw.graph import Graph
from sw.host import digests
from sw.program import Program

_COMPILER = (
    (sw, "compiler/**/*.py"),
    (sw, "graph.py"),
    (sw, "numerics.py"),
    (sw, "operations.py"),
    (sw, "program.py"),
    (hw, "config.py"),
    (hw, "isa/*.py"),
)
"""What decides the bytes of a program."""


@functools.cache
def compiler_digest() -> str:
    """Changes with the sources of the compiler."""
    return digests.of_sources(*_COMPILER)


def digest_of_network(files: Mapping[str, str]) -> str:
    """Changes with the graph, its constants, and the host's models.

    Args:
        files: sha256 by name, as in the manifest.
    """
    names = (GRAPH, CONSTANTS, *(name for name in (HEAD, TAIL) if name in files))
    return hashlib.sha256("".join(files[name] for name in names).encode()).hexdigest()


def network_digest(artifact: Artifact) -> str:
    """Changes with the network, its graph and its constants, and with nothing else.

    Args:
        artifact: that was saved or loaded: one that was only made has no files yet.
    """
    return digest_of_network(artifact.manifest.files)


def seal(target: Target, files: Mapping[str, str]) -> str:
    """Changes with the programs' files, their network, their machine and their memory windows.

    Args:
        target: whatever its own seal.
        files: sha256 by name, as in the manifest.
    """
    bare = msgspec.to_builtins(msgspec.structs.replace(target, program=""))
    if target.batch is None:  # as it was before there were any
        del bare["batch"]
    names = (CODE, WEIGHTS, LAYERS, *((BATCH_CODE, BATCH_LAYERS) if target.batch else ()))
    parts = [bare, *(files[name] for name in names)]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def sealed(target: Target, files: Mapping[str, str]) -> Target:
    """``target``, bound to the network and the program whose files are given."""
    bound = msgspec.structs.replace(target, network=digest_of_network(files))
    return msgspec.structs.replace(bound, program=seal(bound, files))


def check_seal(target: Target, files: Mapping[str, str], path: Path) -> None:
    """Refuse a program of another network, or one that was changed.

    Raises:
        DnaError: a digest differs.
    """
    if target.network != digest_of_network(files):
        raise DnaError(
            f"{path} has the program of another network than its {GRAPH} and {CONSTANTS}; compile "
            "it again with `dna compile`"
        )
    if target.program != seal(target, files):
        raise DnaError(
            f"the program of {path} is not the one that was compiled; compile it again with "
            "`dna compile`"
        )


def check_programs(artifact: Artifact, target: Target, path: Path) -> None:
    """Check that the programs of ``artifact`` compute its graph.

    The compiler takes a third of a second for a ResNet50. A note in the user's cache folder, named
    by the seal, says that they were found right, so that the next one who loads them need not wait.

    Raises:
        DnaError: one is not what the compiler makes of the graph, or, from another version's
            compiler, does what the machine refuses.
    """
    programs = [each for each in (artifact.program, artifact.batch) if each is not None]
    if target.compiler != compiler_digest():
        for program in programs:
            check_foreign(program, artifact.graph, path)
        return
    note = Path(platformdirs.user_cache_dir("open-dna")) / "programs" / target.program
    if note.exists():
        return
    for program in programs:
        _check_compiled(program, artifact.graph, path)
    with contextlib.suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()


def _check_compiled(program: Program, graph: Graph, path: Path) -> None:
    from sw.compiler import compile_graph

    try:
        right = compile_graph(graph, program.config, program.bandwidth, images=program.images)
    except DnaError as error:
        raise DnaError(f"the program of {path} cannot be: {error}") from error
    for what in msgspec.structs.fields(Program):
        if getattr(program, what.name) != getattr(right, what.name):
            raise DnaError(
                f"the program of {path} is not of its network: {what.name} differs from what the "
                "compiler makes; compile it again with `dna compile`"
            )
