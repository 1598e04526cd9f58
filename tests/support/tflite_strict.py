"""A TFLite file all of which has to run on the machine, but for what may be left out behind it."""

from pathlib import Path

from sw.errors import DnaError
from sw.frontends.tflite import Imported, import_model, read
from sw.frontends.tflite.file.reader import TfliteModel
from sw.frontends.tflite.file.runtime import check_loads


def import_whole(path: Path) -> tuple[TfliteModel, Imported]:
    """The file and its graph, with nothing left to the host because it is not supported.

    Raises:
        DnaError: an operator is not supported, in the words of the importer.
    """
    content = path.read_bytes()
    model = read(content, str(path))
    try:
        imported = import_model(model)
        check_loads(content)
    except DnaError as error:
        raise DnaError(f"{path}: {error}") from error
    return model, imported
