"""Runs a whole compiled program in RTL and compares every value that it computes.

One run, from start to interrupt; nothing in between is done by the testbench. What the machine
writes to its feature memory is recorded on the way and afterwards put together, layer by layer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np

from hw.isa import Engine
from sim.driver import Driver
from sim.rtl.simulator import FeatureWrites, Simulator
from sim.verify.outputs import (
    NEVER,
    WRITING_ENGINES,
    Int8,
    Output,
    Words,
    differing,
    outputs_of,
    targets,
)
from sim.verify.results import TimedResult
from sw.program import Program


def verify_program(
    machine: Simulator,
    program: Program,
    image: Int8,
    expected: Mapping[str, Int8],
    *,
    progress: Callable[[int], None] | None = None,
) -> TimedResult:
    """Run ``program`` once and compare every layer's output.

    Args:
        machine: opened with ``record_writes`` and enough memory.
        image: int8, the network's input.
        expected: the right tensors by name, ``memory.operands`` among them.
        progress: called with the cycles run so far.

    Raises:
        MachineError: the machine stopped.
        DnaError: the program's instructions are not those of its table.
    """
    driver = Driver(machine, program)
    first_cycle = machine.cycle
    operands = {tensor.tensor: expected[tensor.tensor] for tensor in program.memory.operands}
    driver.run(image, operands=operands, progress=progress)
    cycles = driver.cycles
    outputs = _written(program, machine.feature_writes())
    layers, end = [], first_cycle
    for table in program.layers:
        output = outputs[table.number]
        layer_end = max(end, int(output.time.max(initial=NEVER)))
        layers.append(output.compare(expected[table.output], cycles=layer_end - end))
        end = layer_end
    return TimedResult(
        layers=layers,
        logits=differing(program.memory, machine.memory, expected),
        cycles=cycles,
        utilization=sum(layer.macs for layer in layers) / (program.config.macs * cycles),
        activity={
            engine.name: {activity.name: count for activity, count in counts.items()}
            for engine, counts in machine.counters().items()
        },
    )


def _written(program: Program, writes: FeatureWrites) -> dict[int, Output]:
    """Put the layers' outputs together from all writes of a run, by layer number.

    The hardware does not say which instruction wrote a word, but each engine writes in the order
    of its instructions, and each instruction writes as many words as its layer says.
    """
    words = _words_by_source(writes)
    outputs = outputs_of(program)
    position: dict[Engine, int] = defaultdict(int)
    for target in targets(program):
        source = target.instruction.engine
        start = position[source]
        position[source] += target.words
        outputs[target.table.number].add(target, words[source].part(start, position[source]))
    return outputs


def _words_by_source(writes: FeatureWrites) -> dict[Engine, Words]:
    lanes = np.arange(writes.words.shape[1])
    enabled = (writes.enable[:, None] >> lanes) & 1 == 1
    result = {}
    for source in WRITING_ENGINES:
        rows = writes.source == source
        chosen = enabled & rows[:, None]
        addresses = (writes.address.astype(np.int64)[:, None] + writes.offsets)[chosen]
        cycles = np.broadcast_to(writes.cycle[:, None], enabled.shape)[chosen]
        result[source] = Words(addresses, writes.words[chosen], cycles)
    return result
