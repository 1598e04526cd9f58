"""The check for the contenders' packages works where they are missing."""

import importlib
import importlib.metadata
import re
import sys

import pytest
from click.testing import CliRunner

from harness.cli import dna
from sw.errors import DnaError

PACKAGES = ("onnx", "onnxruntime", "openvino", "torch", "ai-edge-litert")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, package):
    def version(name):
        if name == package:
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setitem(sys.modules, package.replace("-", "_"), None)
    for name in [name for name in sys.modules if name.startswith("harness.bench")]:
        monkeypatch.delitem(sys.modules, name)
    packages = importlib.import_module("harness.bench.packages")
    message = rf"^{package} is missing; .*'\.\[quantize,bench\]'"
    with pytest.raises(DnaError, match=message):
        packages.check_installed()
    done = CliRunner().invoke(dna, ["bench", "x.dna"])
    assert isinstance(done.exception, DnaError)
    assert re.match(message, str(done.exception))
