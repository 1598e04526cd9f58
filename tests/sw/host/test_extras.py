import tomllib
from pathlib import Path
from typing import get_args

import pytest

from sw.errors import DnaError
from sw.host.extras import Extra, missing, needs

PROJECT = Path(__file__).parents[3] / "pyproject.toml"


def test_extras_are_those_of_the_project():
    extras = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    assert {name for extra in get_args(Extra) for name in extra.split(",")} <= set(extras)


def test_the_message_tells_what_to_install():
    expected = r"PyTorch is missing; install it: pip install --editable '\.\[quantize\]'"
    with pytest.raises(DnaError, match=expected):
        raise missing("quantize", "PyTorch")
    with pytest.raises(DnaError, match=expected), needs("quantize", "PyTorch"):
        import no_such_package  # noqa: F401


def test_a_module_names_itself():
    with pytest.raises(DnaError, match=r"^no_such_package is missing"), needs("bench"):
        import no_such_package.deeper  # noqa: F401


def test_a_missing_module_of_ours_is_a_bug():
    with pytest.raises(ModuleNotFoundError, match=r"sw\.no_such_module"), needs("bench", "ONNX"):
        import sw.no_such_module  # noqa: F401


def test_what_is_there_is_imported():
    with needs("quantize", "PyTorch"):
        import json
    assert json.loads("1") == 1
