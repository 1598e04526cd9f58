"""Programs of several images, which overlap.

One program of N images needs nothing of the machine that one of an image does not: tokens order the
engines, and a second image is in the feature memory beside the first. So what differs is

- which layers run once for all images (``joint``),
- when the others run, those of two images in turn (``schedule``),
- where their feature maps are then (``places``),
- and how all that becomes a program (``emission``).

How each layer runs is what was chosen for one image, and the weight streams are the same bytes.
Where memory is too tight for two images the program computes one after the other.
"""

from __future__ import annotations

from hw.config import DnaConfig
from sw.compiler.candidates import Candidates
from sw.compiler.images.emission import emit_images
from sw.compiler.images.joint import joint_from
from sw.compiler.images.planning import plan_images
from sw.compiler.lowering import lower
from sw.compiler.placement import place
from sw.compiler.platform import Platform
from sw.compiler.selection.overlap import overlap
from sw.compiler.selection.splits import choose_splits
from sw.errors import DnaError
from sw.graph import Graph
from sw.program import Program

MOST_IMAGES = 64
"""A feature map of joint layers has as many rows, and all that the program touches a place each."""


def compile_images(
    graph: Graph, config: DnaConfig, images: int, bandwidth: float = 1.0
) -> Program:
    """Compile ``graph`` to one program that computes ``images`` of them.

    Args:
        graph: a whole network.
        config: of the machine.
        images: at least 2.
        bandwidth: as of :func:`sw.compiler.compile_graph`.

    Raises:
        DnaError: as :func:`sw.compiler.compile_graph`, or the number of images is out of range.
    """
    if not 2 <= images <= MOST_IMAGES:
        raise DnaError(f"a program computes 2 to {MOST_IMAGES} images, not {images}")
    platform = Platform(config, bandwidth)
    layers = lower(graph, config)
    candidates = Candidates(platform, layers)
    splits = choose_splits(candidates)
    plans = place(candidates, splits, outside=(*graph.sources, graph.output))
    planned = plan_images(candidates, splits, plans, overlap(candidates, plans), images)
    return emit_images(graph, platform, planned)


__all__ = ["MOST_IMAGES", "compile_images", "joint_from"]
