"""The check for the contenders' packages works where they are missing."""

import importlib
import importlib.metadata
import sys

import pytest

from sw.errors import DnaError


@pytest.mark.parametrize("package", ["onnx", "openvino"])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, package):
    def version(name):
        if name == package:
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith("harness.bench")]:
        monkeypatch.delitem(sys.modules, name)
    packages = importlib.import_module("harness.bench.packages")
    with pytest.raises(DnaError, match=rf"^{package} is missing; .*'\.\[quantize,bench\]'"):
        packages.check_installed()
