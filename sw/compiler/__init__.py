"""The compiler: an integer graph and a configuration in, a program and its weights out.

A line of passes, a room each:

- ``lowering``: operations to ``layers``, each a loop nest of the machine.
- ``candidates``: the ways to run each layer (a ``choice``), with what they cost (``estimates``).
- ``selection``: what concerns several layers.
- ``placement``: feature maps in feature memory or DRAM; each layer the quickest way that has room.
- ``emission``: instructions, their order by tokens, weight streams, tables.
- ``images``: instead of the last, for programs of several images: when and where each runs.

Estimates are of a ``platform``. The same input gives the same bytes.
"""

from __future__ import annotations

import dataclasses

import msgspec

from hw.config import DnaConfig
from sw.compiler.candidates import Candidates
from sw.compiler.emission import emit
from sw.compiler.images import MOST_IMAGES, emit_images, plan_images
from sw.compiler.layers import Convolution
from sw.compiler.lowering import lower
from sw.compiler.placement import DoesNotFitError, place
from sw.compiler.platform import Platform
from sw.compiler.selection.chains import stripe_chains
from sw.compiler.selection.links import choose_links
from sw.compiler.selection.overlap import overlap
from sw.errors import DnaError
from sw.graph import Graph
from sw.program import Program


def compile_graph(
    graph: Graph, config: DnaConfig, bandwidth: float = 1.0, *, images: int = 1
) -> Program:
    """Compile ``graph`` for the machine ``config``.

    The graph may be a part of one (:meth:`sw.graph.Graph.part`): then what it takes besides its
    input is in ``memory.operands`` of the program.

    Args:
        graph: what to compile.
        config: of the machine.
        bandwidth: of the memory that the schedule is made for, as a part of the DRAM port's
            (:class:`sw.compiler.platform.Platform`).
        images: that a run computes; their weights are the same bytes for any number.

    Raises:
        DnaError: an operation is not supported, or something does not fit; the message says what
            would make it fit. The bandwidth or the number of images is out of range.
    """
    if not 1 <= images <= MOST_IMAGES:
        raise DnaError(f"a program computes 1 to {MOST_IMAGES} images, not {images}")
    if images > 1 and graph.further:
        raise DnaError("the network has several inputs or carries maps: a program computes 1 image")
    platform = Platform(config, bandwidth)
    try:
        program = _program(graph, config, platform, config, images)
    except DoesNotFitError:
        # The weights of the depthwise engine are in the feature memory, those of CONV are not.
        engines = dataclasses.replace(config, depthwise_words=0)
        program = _program(graph, config, platform, engines, images)
    return msgspec.structs.replace(program, bandwidth=bandwidth)


def _program(
    graph: Graph, config: DnaConfig, platform: Platform, engines: DnaConfig, images: int
) -> Program:
    """The program of so many images, with the engines of the machine ``engines``."""
    candidates = Candidates(platform, lower(graph, engines))
    links = choose_links(candidates)
    outside = {*graph.sources, *graph.outputs}
    for layer in candidates.layers:
        if isinstance(layer, Convolution) and layer.gather:  # its source is in slabs only
            outside.add(layer.source.tensor)
    if images > 1:
        return emit_images(graph, config, plan_images(candidates, links, outside, images))
    plans = place(candidates, links, outside)
    return emit(graph, config, overlap(candidates, stripe_chains(candidates, plans)))


__all__ = ["MOST_IMAGES", "Program", "compile_graph"]
