"""A TFLite file as what an artifact is made of: the machine's graph, and the host's parts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sw.artifact.host import Host
from sw.errors import DnaError
from sw.frontends.tflite.file.opening import rewritten
from sw.frontends.tflite.file.packing import cut
from sw.frontends.tflite.file.reader import TfliteModel, read
from sw.frontends.tflite.file.runtime import check_loads
from sw.frontends.tflite.hosting import check_runs, host_of
from sw.frontends.tflite.importer import Imported
from sw.frontends.tflite.partition import Partition, partition


@dataclasses.dataclass(frozen=True)
class ImportedFile:
    """What became of a file.

    Attributes:
        content: the machine's part as a file, without variables; the file itself, if that is all
            of it.
        model: the machine's part; its indices are those of the whole file.
        imported: its graph.
        divided: what runs where.
        host: what the host runs as a part of the artifact.
        models: its models, by the name of their file.
    """

    content: bytes
    model: TfliteModel
    imported: Imported
    divided: Partition
    host: Host
    models: dict[str, bytes]

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever uses it has to know, a sentence each."""
        host, told = self.host, []
        if not host.parts:
            return self.imported.notes
        if self.divided.reason:
            told.append(f"on the host, because of {self.divided.reason}")
        for part, where in ((host.head, "in front of the machine"), (host.tail, "behind it")):
            if part is not None:
                told.append(f"the host runs {where}: {part}")
        return tuple(told)


def import_file(path: Path) -> ImportedFile:
    """Read a TFLite file, divide it, and turn the machine's part into the integer graph.

    Raises:
        DnaError: the file cannot be read, is damaged, holds too little that is supported, or LiteRT
            itself refuses it; one line that names the operator and the nearest thing that is
            supported.
    """
    try:
        given = path.read_bytes()
    except OSError as error:
        raise DnaError(f"cannot read {path}: {error.strerror}") from error
    content, states = rewritten(given, str(path))
    model = dataclasses.replace(read(content, str(path)), states=states)
    try:
        divided = partition(model)
        host, models = host_of(content, divided)
        if host.parts:
            check_runs(path)
        check_loads(given)
    except DnaError as error:
        raise DnaError(f"{path}: {error}") from error
    part = divided.part
    machine = content
    if len(part.operators) != len(model.operators):
        chosen = {operator.index for operator in part.operators}
        machine = cut(content, chosen, part.inputs, part.outputs)
    return ImportedFile(machine, part, divided.imported, divided, host, models)
