"""Random TFLite models against LiteRT, many of them: ``python -m tests.sweeps.import_sweep``.

Every tensor of every model: the functional model and the reference against LiteRT on the file
itself; and of some models the RTL of nano against the functional model. Prints what was compared
and exits with 1 if a value differs. A model that is refused counts as refused, with the reason.
"""

import argparse
from collections import Counter

import numpy as np

from hw.config import PRESETS
from sim.compare.tflite import TfliteComparer
from sim.functional import FunctionalModel
from sim.memory.model import MemoryModel
from sim.rtl.registry import open_simulator
from sim.verify.rtl import verify_program
from sw.compiler import compile_graph
from sw.errors import DnaError
from sw.frontends.tflite import Imported, import_model, read
from tests.support.tflite_random import random_model

CONFIG = PRESETS["nano"]


def compared(content: bytes, rng: np.random.Generator) -> tuple[Imported, int, int]:
    """The imported model, and the values that were compared and differ, for two inputs.

    Raises:
        DnaError: the model is refused.
    """
    model = read(content, "model")
    imported = import_model(model)
    comparer = TfliteComparer(content, model, imported)
    shape = imported.graph.tensors[imported.graph.input].shape
    values = mismatches = 0
    for image in (noise(rng, shape), extremes(rng, shape)):
        for comparison in comparer.image(image):
            values += comparison.values
            mismatches += comparison.mismatches
    return imported, values, mismatches


def noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.integers(-128, 128, shape).astype(np.int8)


def extremes(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.choice(np.array([-128, -127, 0, 126, 127], np.int8), shape)


def on_rtl(imported: Imported, rng: np.random.Generator) -> tuple[int, int]:
    """Values compared, and values that differ, of one run on the machine."""
    graph = imported.graph
    program = compile_graph(graph, CONFIG)
    image = noise(rng, graph.tensors[graph.input].shape)
    with open_simulator(
        CONFIG,
        "cxxrtl",
        size=program.memory.size,
        memory=MemoryModel(),
        record_writes=True,
        waves=None,
    ) as machine:
        result = verify_program(machine, program, image, FunctionalModel(graph).run_all(image))
    return result.values, result.mismatches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=300)
    parser.add_argument("--rtl", type=int, default=50, help="models that also run on the RTL")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    done, seed, bad = 0, options.seed, 0
    totals: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    while done < options.models:
        rng = np.random.default_rng(seed)
        try:
            imported, values, mismatches = compared(random_model(rng), rng)
        except DnaError as error:
            print(f"seed {seed}: refused: {error}", flush=True)
            totals["refused"] += 1
            seed += 1
            continue
        kinds.update(step.code for step in imported.steps)
        totals["values"] += values
        if mismatches:
            print(f"seed {seed}: {mismatches} values differ", flush=True)
        bad += mismatches
        if done < options.rtl:
            try:
                values, mismatches = on_rtl(imported, rng)
            except DnaError as error:
                print(f"seed {seed}: not on the RTL: {error}", flush=True)
                totals["too large for the RTL's machine"] += 1
                done, seed = done + 1, seed + 1
                continue
            totals["models on the RTL"] += 1
            totals["values on the RTL"] += values
            if mismatches:
                print(f"seed {seed}: {mismatches} values differ on the RTL", flush=True)
            bad += mismatches
        done += 1
        seed += 1
    print(f"{done} models, {bad} values differ; {dict(totals)}; operators {dict(kinds)}")
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
