"""What an artifact says about itself, and the names of its files."""

from __future__ import annotations

import msgspec

from hw.config import DnaConfig
from sw.artifact.host import Host
from sw.classes import has_classes
from sw.graph import Graph
from sw.preprocessing import Preprocessing
from sw.program import MemoryMap, Program

FORMAT_VERSION = 3
MANIFEST = "manifest.json"
GRAPH = "graph.json"
CONSTANTS = "constants.safetensors"
CODE = "program.bin"
WEIGHTS = "weights.bin"
LAYERS = "layers.json"
BATCH_CODE = "batch.bin"
BATCH_LAYERS = "batch.json"


class Quantization(msgspec.Struct, frozen=True):
    """Scale and zero point at an edge of the network: ``real = scale * (value - zero_point)``."""

    scale: float
    zero_point: int
    shape: tuple[int, ...]


class Batch(msgspec.Struct, frozen=True):
    """What is different for the program of several images.

    Attributes:
        images: that it computes.
        memory: its memory window.
    """

    images: int
    memory: MemoryMap


class Target(msgspec.Struct, frozen=True):
    """The machine that a network was compiled for.

    Attributes:
        isa_version: of the program.
        config: all parameters of the machine.
        digest: of ``config``, as the machine checks it.
        memory: the memory window.
        bandwidth: of the memory that the schedule is made for, as a part of the DRAM port's.
        compiler: digest of the compiler's sources.
        network: digest of the network whose program it is (:func:`sw.artifact.network_digest`).
        program: digest of all the above and of the program's files
            (:func:`sw.artifact.binding.seal`). It and the two before are empty in what 0.2.0 and
            earlier wrote.
        batch: the program of several images, if there is one.
    """

    isa_version: int
    config: DnaConfig
    digest: str
    memory: MemoryMap
    bandwidth: float = 1.0
    compiler: str = ""
    network: str = ""
    program: str = ""
    batch: Batch | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What ``manifest.json`` holds.

    Attributes:
        format_version: of this directory's layout.
        model: what the network is called in reports.
        framework: the framework that quantized it.
        preprocessing: how a photograph becomes its input; None: it takes arrays.
        input: quantization and shape of the input tensor.
        output: quantization and shape of the logits; of several outputs, of the first.
        others: quantization and shape of further outputs of the machine.
        further: quantization and shape of further inputs that the user gives, by name.
        carries: whether maps are carried from call to call.
        host: what the host runs in front of the machine and behind it.
        class_names: one per logit; none where the answer is no row of logits.
        class_offset: logits in front of class 0 (:mod:`sw.classes`); None: nobody has said.
        files: sha256 of every other file by name.
        target: the machine that the program is for, if there is a program.
        written_by: the version of open DNA that wrote it; empty before 0.2.0.
    """

    format_version: int
    model: str
    framework: str
    preprocessing: Preprocessing | None
    input: Quantization
    output: Quantization
    class_names: list[str]
    class_offset: int | None = None
    files: dict[str, str] = {}
    target: Target | None = None
    written_by: str = ""
    others: tuple[Quantization, ...] = ()
    further: dict[str, Quantization] = {}
    carries: bool = False
    host: Host = Host()

    @property
    def outputs(self) -> tuple[Quantization, ...]:
        """All outputs of the machine."""
        return (self.output, *self.others)

    @property
    def answer_shape(self) -> tuple[int, ...]:
        """The shape of the answer, if that is one output of the machine; else (), of no logits."""
        alone = not self.others and self.host.tail is None
        return tuple(self.output.shape) if alone else ()

    @property
    def given_shape(self) -> tuple[int, ...]:
        """The shape of what the user gives: the head's input without batch, or the machine's."""
        head = self.host.head
        if head is None:
            return tuple(self.input.shape)
        shape = tuple(head.inputs[0].shape)
        return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape

    @property
    def classifies(self) -> bool:
        """Whether the answer is a row of logits."""
        return has_classes(self.answer_shape)


class Artifact(msgspec.Struct, frozen=True):
    """A network ready to run: its manifest, its integer graph, and its program if compiled.

    Attributes:
        manifest: what it is.
        graph: the integer graph.
        program: of one image, compiled from the graph, if it was.
        batch: the program of several images, if there is one; its weights are the same bytes.
        outdated_isa: the older instruction set that the program on disk is for, which was then not
            read: ``program`` and the manifest's ``target`` are None.
        unbound: the program on disk does not say which network it is of, and was not read either.
        host: the host's models, by the name of their file.
    """

    manifest: Manifest
    graph: Graph
    program: Program | None = None
    batch: Program | None = None
    outdated_isa: int | None = None
    unbound: bool = False
    host: dict[str, bytes] = {}
