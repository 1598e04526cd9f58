"""ONNX: models that ONNX Runtime's static quantization has written."""

from sw.frontends.onnx.importer import Imported, import_file

__all__ = ["Imported", "import_file"]
