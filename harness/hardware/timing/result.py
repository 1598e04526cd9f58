"""What ``dna timing`` found, as a file that other commands read."""

from __future__ import annotations

from pathlib import Path

import msgspec

from sw.errors import DnaError

VERSION = 1


class TimedPath(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """A path, from a register to a register if nothing else is said.

    Attributes:
        of: the block that was judged.
        block: where in it it ends.
        start: the signal that it comes from, with its block in front.
        end: the signal that takes it.
        levels: LUT levels, or gates.
        ns: its delay; None where a target has none.
        endpoints: how many bits end paths between the same two signals.
        through: named signals between.
        open: it goes on outside the block: only its part inside is counted.
    """

    of: str
    block: str
    start: str
    end: str
    levels: float
    ns: float | None = None
    endpoints: int = 1
    through: tuple[str, ...] = ()
    open: bool = False


class BlockTiming(msgspec.Struct, frozen=True):
    """A block alone.

    Attributes:
        levels: of the longest path from register to register.
        open_levels: of the longest part of a path that goes on outside.
        over: how many bits end paths longer than wanted.
        area: what it takes.
    """

    name: str
    levels: float | None = None
    open_levels: float | None = None
    ns: float | None = None
    fmax_mhz: float | None = None
    over: int = 0
    area: dict[str, float] = {}


class Timing(msgspec.Struct, frozen=True):
    """All of it.

    Attributes:
        config: name of the configuration.
        digest: of the configuration.
        hardware: digest of the sources that the machine was made from.
        target: levels, ecp5, or the name of a Liberty file.
        tools: name and version of each.
        corner: process, voltage, temperature or speed grade; None for a target without one.
        fmax_mhz: the clock that is proved; None if none is.
        assumptions: what the figures rest on, in sentences.
    """

    config: str
    digest: str
    hardware: str
    target: str
    tools: dict[str, str]
    corner: str | None
    fmax_mhz: float | None
    assumptions: list[str]
    blocks: list[BlockTiming]
    paths: list[TimedPath]
    area: dict[str, dict[str, float]]
    version: int = VERSION


def with_inner(
    block: BlockTiming, paths: list[TimedPath], inner: list[tuple[BlockTiming, list[TimedPath]]]
) -> tuple[BlockTiming, list[TimedPath]]:
    """A block and its paths, longest first, with what was judged of boxes inside it.

    Args:
        block, paths: what is outside of the boxes.
        inner: of each kind of box: itself alone.
    """
    whole = [*paths]
    for box, inside in inner:
        slower = box.ns is not None and (block.ns is None or box.ns > block.ns)
        block = msgspec.structs.replace(
            block,
            levels=max((n for n in (block.levels, box.levels) if n is not None), default=None),
            over=block.over + box.over,
            **({"ns": box.ns, "fmax_mhz": box.fmax_mhz} if slower else {}),
        )
        whole += [msgspec.structs.replace(p, of=block.name) for p in inside if not p.open]
    whole.sort(key=lambda path: (path.open, -(path.ns or 0.0), -path.levels))
    return block, whole


def read(path: Path) -> Timing:
    """What `dna timing --json` wrote.

    Raises:
        DnaError: it cannot be read, or is none, or of another version.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Timing)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DnaError(
            f"{path} is no timing file ({reason}); make one with `dna timing --json FILE`"
        ) from error
    if found.version != VERSION:
        raise DnaError(f"{path} is a timing file of version {found.version}, not {VERSION}")
    return found
