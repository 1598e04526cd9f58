import dataclasses
import json

import msgspec
import pytest

from harness.explore.space import product, read
from hw.config import PRESETS
from sw.errors import DnaError

BASE = PRESETS["f200"]


def only(**choices):
    (candidate,) = product(BASE, {name: [value] for name, value in choices.items()})
    return candidate


def test_nothing_chosen_is_the_base():
    (candidate,) = product(BASE, {})
    assert candidate.config == BASE


def test_every_combination_is_there():
    candidates = product(BASE, {"modules": [4, 8], "array": [16, 32], "dram": [32, 64]})
    shapes = {(c.config.modules, c.config.rows, c.config.dram_bytes_per_cycle) for c in candidates}
    assert len(shapes) == len(candidates) == 8
    assert len({candidate.name for candidate in candidates}) == 8


def test_what_is_not_chosen_stays_in_proportion():
    config = only(modules=2, array=16).config
    assert (config.lanes, config.dram_bytes_per_cycle) == (16, 32)
    assert config.feature_words * config.rows == BASE.feature_words * BASE.rows
    fifo = config.weight_fifo_words * config.dram_bytes_per_cycle
    assert fifo == BASE.weight_fifo_words * BASE.dram_bytes_per_cycle


def test_what_is_derived_makes_a_machine():
    for candidate in product(PRESETS["nano"], {"modules": [1, 2, 4, 8], "array": [8, 16, 32, 64]}):
        assert candidate.config is not None, candidate.refused


def test_every_dimension_is_a_parameter():
    config = only(modules=4, array=16, lanes=64, depth=512, feature=1024, fifo=32, dram=64).config
    assert (config.modules, config.rows, config.columns, config.lanes) == (4, 16, 16, 64)
    assert config.accumulation_depth == 512
    assert config.feature_words * config.rows == 1 << 20
    assert config.weight_fifo_words * config.dram_bytes_per_cycle == 32 << 10
    assert config.name == "4x16x16-l64-t512-f1024-w32-d64"


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ({"modules": 3}, "modules must be a power of two, not 3"),
        ({"dram": 512}, "dram_bytes_per_cycle must be from 8 to modules x columns"),
        ({"dram": 100000}, "dram_bytes_per_cycle"),
        ({"lanes": 16}, "lanes must be from columns"),
        ({"feature": 1000}, "feature_words must be a power of two"),
    ],
)
def test_what_makes_no_machine_says_why(choices, reason):
    candidate = only(**choices)
    assert candidate.config is None
    assert reason in candidate.refused


def test_a_file(tmp_path):
    file = tmp_path / "configs.json"
    bad = {**msgspec.to_builtins(BASE), "name": "bad", "modules": 16}
    file.write_text(json.dumps([msgspec.to_builtins(PRESETS["nano"]), bad, {"modules": 2}]))
    good, large, part = read(file)
    assert good.config == PRESETS["nano"]
    assert (large.name, large.config) == ("bad", None)
    assert "modules must be at most 8, not 16" in large.refused
    assert (part.name, part.config) == (f"{file}[2]", None)
    assert "missing" in part.refused


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[]", "[{]"])
def test_files_that_are_no_list_of_machines(tmp_path, text):
    (tmp_path / "configs.json").write_text(text)
    with pytest.raises(DnaError, match=r"configs.json (is no list|has no) "):
        read(tmp_path / "configs.json")
    with pytest.raises(DnaError, match="cannot read"):
        read(tmp_path / "missing.json")


def test_unknown_parameters_are_not_ignored(tmp_path):
    parameters = {**dataclasses.asdict(PRESETS["nano"]), "module": 4}
    (tmp_path / "configs.json").write_text(json.dumps([parameters]))
    (candidate,) = read(tmp_path / "configs.json")
    assert candidate.config is None
    said = "a machine has no parameter 'module'; did you mean 'modules'? There are name, modules, "
    assert candidate.refused.startswith(said)
