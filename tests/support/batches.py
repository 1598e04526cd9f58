"""Programs of several images: inputs, right tensors, and a run by what the program means."""

import numpy as np

from hw.config import DnaConfig
from sim.reference import ReferenceModel
from sim.verify.interpreter import interpret_program
from sim.verify.outputs import together
from sw.compiler import compile_graph
from sw.graph import Graph
from sw.program import Program
from tests.support.programs import noise


def batch(rng: np.random.Generator, graph: Graph, images: int):
    """Inputs of so many images, no two of them equal, and the right tensors of all."""
    model = ReferenceModel(graph)
    pixels = np.stack([noise(rng, graph) for _ in range(images)])
    return pixels, together([model.run_all(image) for image in pixels])


def check_batch(
    rng: np.random.Generator,
    graph: Graph,
    config: DnaConfig,
    images: int,
    seeds: tuple[int | None, ...] = (None,),
) -> Program:
    """Compile ``graph`` for several images and compare every tensor, once for each seed."""
    program = compile_graph(graph, config, images=images)
    pixels, expected = batch(rng, graph, images)
    for seed in seeds:
        result = interpret_program(program, pixels, expected, seed=seed)
        assert result.values == sum(int(np.prod(layer.shape)) for layer in program.layers) > 0
        assert result.mismatches == 0, next((layer for layer in result.layers if layer.first), None)
    return program
