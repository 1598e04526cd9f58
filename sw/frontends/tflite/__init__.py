"""TFLite: full-integer int8 flatbuffers."""

from sw.frontends.tflite.file import read
from sw.frontends.tflite.importer import Imported, Step, import_file, import_model

__all__ = ["Imported", "Step", "import_file", "import_model", "read"]
