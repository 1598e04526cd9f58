"""ONNX: models that ONNX Runtime's static quantization has written."""

from sw.frontends.onnx.importer import Imported, import_file
from sw.frontends.onnx.values import Value

__all__ = ["Imported", "Value", "import_file"]
