"""The compiler: an integer graph and a configuration in, a program and its weights out.

A line of passes, a room each:

- ``lowering``: operations to ``layers``, each a loop nest of the machine.
- ``candidates``: the ways to run each layer (a ``choice``), with what they cost (``estimates``).
- ``selection``: what concerns several layers.
- ``placement``: feature maps in feature memory or DRAM; each layer the quickest way that has room.
- ``emission``: instructions, their order by tokens, weight streams, tables.

Estimates are of a ``platform``. The same input gives the same bytes.
"""

from __future__ import annotations

import dataclasses

import msgspec

from hw.config import DnaConfig
from sw.compiler.candidates import Candidates
from sw.compiler.emission import emit
from sw.compiler.lowering import lower
from sw.compiler.placement import DoesNotFitError, Plan, place
from sw.compiler.platform import Platform
from sw.compiler.selection.chains import stripe_chains
from sw.compiler.selection.overlap import overlap
from sw.compiler.selection.splits import choose_splits
from sw.graph import Graph
from sw.program import Program


def compile_graph(graph: Graph, config: DnaConfig, bandwidth: float = 1.0) -> Program:
    """Compile ``graph`` for the machine ``config``.

    The graph may be a part of one (:meth:`sw.graph.Graph.part`): then what it takes besides its
    input is in ``memory.operands`` of the program.

    Args:
        graph: what to compile.
        config: of the machine.
        bandwidth: of the memory that the schedule is made for, as a part of the DRAM port's
            (:class:`sw.compiler.platform.Platform`).

    Raises:
        DnaError: an operation is not supported, or something does not fit; the message says what
            would make it fit. The bandwidth is out of range.
    """
    platform = Platform(config, bandwidth)
    try:
        plans = _plans(platform, graph, config)
    except DoesNotFitError:
        # The weights of the depthwise engine are in the feature memory, those of CONV are not.
        plans = _plans(platform, graph, dataclasses.replace(config, depthwise_words=0))
    return msgspec.structs.replace(emit(graph, config, plans), bandwidth=bandwidth)


def _plans(platform: Platform, graph: Graph, engines: DnaConfig) -> list[Plan]:
    """How every layer runs, with the engines of the machine ``engines``."""
    candidates = Candidates(platform, lower(graph, engines))
    splits = choose_splits(candidates)
    plans = place(candidates, splits, outside=(*graph.sources, graph.output))
    return overlap(candidates, stripe_chains(candidates, plans))


__all__ = ["Program", "compile_graph"]
