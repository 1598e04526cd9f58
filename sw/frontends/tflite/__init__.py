"""TFLite: full-integer flatbuffers."""

from sw.frontends.tflite.file.opening import read
from sw.frontends.tflite.importer import Imported, Step, import_model
from sw.frontends.tflite.whole import ImportedFile, import_file

__all__ = ["Imported", "ImportedFile", "Step", "import_file", "import_model", "read"]
