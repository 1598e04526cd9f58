"""The packages of the contenders; this can be imported without them."""

from __future__ import annotations

import importlib.metadata

from sw.host.extras import missing

PACKAGES = {
    "functional": "numpy",
    "openvino": "openvino",
    "onnxruntime": "onnxruntime",
    "litert": "ai-edge-litert",
    "torch": "torch",
}
"""The distribution that each contender comes from."""

_WRITER = "onnx"  # writes what two of them read


def check_installed() -> None:
    """Make sure that all contenders can be loaded.

    Raises:
        DnaError: a package is not installed.
    """
    for package in (*PACKAGES.values(), _WRITER):
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise missing("quantize,bench", package) from None
