"""`dna` with a cycle model that always says FIXED_CYCLES: python -m tests.support.fixed_cycles."""

import os
import sys
import types


class Prediction(types.SimpleNamespace):
    """What sim.cycles.predict returns, as far as commands look at it."""


def predict(program, memory):
    assert program.code
    return Prediction(cycles=int(os.environ["FIXED_CYCLES"]))


if __name__ == "__main__":
    sys.modules["sim.cycles"] = types.ModuleType("sim.cycles")
    sys.modules["sim.cycles"].predict = predict
    from harness.cli import main

    main()
