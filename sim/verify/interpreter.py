"""Runs a whole compiled program by what its instructions mean and compares every value.

It takes about a second where RTL takes minutes. What it finds is wrong in the program (or in what
the values are compared with), whatever runs it; it has no time, so it counts no cycles.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

from sim.interpreter.program import Executed, Interpreter
from sim.verify.outputs import WRITERS, Int8, Words, differing, outputs_of, targets
from sim.verify.results import ProgramResult
from sw.program import Program


@cache
def _libraries() -> ThreadpoolController:
    """Those with threads of their own that this process has loaded."""
    return ThreadpoolController()


def interpret_program(
    program: Program, image: Int8, expected: Mapping[str, Int8], *, seed: int | None = None
) -> ProgramResult:
    """Run ``program`` once and compare every layer's output.

    Args:
        image: int8, the network's input.
        expected: the right tensors by name, ``memory.operands`` among them.
        seed: of the order in which engines go on; None: the order of the program.

    Raises:
        ProgramError: the machine would refuse the program, or never end it.
        DnaError: the program's instructions are not those of its table.
    """
    memory = program.memory
    dram = program.image(image)
    for tensor in memory.operands:
        region = tensor.region
        dram[region.offset : region.end] = tensor.content(expected[tensor.tensor])
    written: dict[int, Words] = {}

    def note(executed: Executed) -> None:
        if executed.instruction.opcode in WRITERS:
            address, content = executed.written
            steps = np.full(len(address), len(written), np.int64)
            written[executed.number] = Words(address, content, steps)

    # Its products are small: a second thread gains nothing, and waits where the computer is busy
    # (23 s instead of 2 beside two other processes).
    with _libraries().limit(limits=1, user_api="blas"):
        Interpreter(program.config, dram).run(program.code, seed=seed, after=note)
    outputs = outputs_of(program)
    for target in targets(program):
        outputs[target.table.number].add(target, written[target.number])
    return ProgramResult(
        layers=[
            outputs[table.number].compare(expected[table.output], cycles=None)
            for table in program.layers
        ],
        logits=differing(memory, dram, expected),
    )
