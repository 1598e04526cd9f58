"""Those who only run programs do not load the HDL."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = [
    "hw.config",
    "hw.isa",
    "hw.status",
    "hw.microarchitecture",
    "hw.bus.axi_codes",
    "hw.bus.registers",
    "sw.artifact",
    "sw.compiler",
    "sim.runtime",
    "sim.driver",
    "sim.rtl.registry",
    "sim.rtl.simulator",
    "sim.cycles",
    "sim.interpreter.program",
    "harness.hardware.area",
    "harness.report.figures",
]
RUN = """
import numpy as np
from hw.config import PRESETS
from sim.cycles import predict
from sim.interpreter.program import Interpreter
from sw.compiler import compile_graph
from tests.support.programs import noise, random_network

rng = np.random.default_rng(2)
graph = random_network(rng)
program = compile_graph(graph, PRESETS["nano"])
assert predict(program).cycles > 0
Interpreter(program.config, program.image(noise(rng, graph))).run(program.code)
"""


def loads_the_hdl(code):
    """Whether ``code``, in a process of its own, loads Amaranth."""
    report = "import sys; print(any(name.split('.')[0] == 'amaranth' for name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return done.stdout.split()[-1] == "True"


@pytest.mark.parametrize("module", MODULES)
def test_without_the_hdl(module):
    assert not loads_the_hdl(f"import {module}")


def test_a_program_is_compiled_predicted_and_interpreted_without_the_hdl():
    assert not loads_the_hdl(RUN)


def test_a_module_of_the_hardware_is_noticed():
    assert loads_the_hdl("import hw.bus.axi")
