"""Simulators are found by their files."""

import ast
import importlib
import sys
from pathlib import Path

import pytest

import sim.rtl
from hw.config import PRESETS
from sim.rtl import engines, registry
from sim.rtl.simulator import Simulator
from sw.errors import DnaError

NANO = PRESETS["nano"]
ADDED = """\
from sim.rtl.simulator import Simulator


class Nothing:
    def __init__(self, component, config, **options):
        self.given = component, config, options


SIMULATOR = Nothing
"""


def test_what_there_is():
    assert {"cxxrtl", "pysim", registry.DEFAULT} <= set(registry.names())


@pytest.mark.parametrize("name", registry.names())
def test_every_one_is_a_simulator(name):
    made = importlib.import_module(f"{engines.__name__}.{name}").SIMULATOR
    assert issubclass(made, Simulator)
    assert not made.__abstractmethods__


def test_adding_one_is_adding_one_file(tmp_path, monkeypatch):
    before = registry.names()
    (tmp_path / "nothing.py").write_text(ADDED)
    monkeypatch.setattr(engines, "__path__", [*engines.__path__, str(tmp_path)])
    assert registry.names() == sorted([*before, "nothing"])
    opened = registry.open_simulator(NANO, "nothing", size=64, component=int)
    monkeypatch.delitem(sys.modules, f"{engines.__name__}.nothing")
    component, config, options = opened.given
    assert (component, config) == (int, NANO)
    assert set(options) == {"size", "model", "record_writes", "waves"}
    assert options["size"] == 64


def test_an_unknown_one_is_refused():
    with pytest.raises(
        DnaError, match="no engine 'abacus'; choose one of " + ", ".join(registry.names())
    ):
        registry.open_simulator(NANO, "abacus", size=64)


def imports_of(path):
    """Modules of ``sim`` that a file imports, inside functions and for types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sim"):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("sim")}
    return found


def test_nothing_imports_an_engine():
    """So an engine may import everything else here without a circle."""
    folder = Path(sim.rtl.__file__).parent
    for path in folder.rglob("*.py"):
        assert not {name for name in imports_of(path) if name.startswith(engines.__name__)}, path
