"""Any PyTorch network of the table's operators: an exported program, or what a function returns."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.data.datasets import Dataset
from harness.host import computer, terminal
from harness.quantize.photographs import chosen_for, images
from harness.quantize.pytorch import with_torch
from harness.quantize.quantized import F32Array, Quantized
from sw.errors import DnaError

if TYPE_CHECKING:
    import torch
    from torch.export import ExportedProgram

PROGRAM = ".pt2"
SIZE = (224, 224)
CHANNELS = 3


@contextlib.contextmanager
def quantized(
    model: str,
    size: tuple[int, int] | None,
    preprocessing: str | None,
    calibration: Dataset,
    console: terminal.Console,
) -> Iterator[Quantized]:
    """A network, calibrated; its float32 network runs inside the block.

    Args:
        model: a file that ``torch.export.save`` wrote (.pt2), or ``package.module:function``, a
            function without arguments that returns a module.
        size: height and width of its input; None: what the program says, else ``SIZE``.
        preprocessing: of the photographs, a name or a file.
        calibration: photographs to calibrate with.
        console: for the progress display.

    Raises:
        DnaError: PyTorch is not installed, the network cannot be had, has an operator that the
            table has not, or takes something else than an image; or a photograph cannot be used.
    """
    if preprocessing is None:
        raise DnaError(f"which images was {model} trained with? say --preprocessing")
    with with_torch(computer.cpus()):
        import torch

        from sw.frontends.pytorch import quantize

        network: torch.nn.Module | ExportedProgram
        runs: torch.nn.Module
        with console.status(f"reading {model}"):
            if model.endswith(PROGRAM):
                network, shape = _program(Path(model))
                name, runs = Path(model).stem, network.module(check_guards=False)
            else:
                network, name = _made(model), model.rpartition(":")[2]
                shape, runs = (*(size or SIZE), CHANNELS), network
        if size not in (None, shape[:2]):
            raise DnaError(f"{model} takes {shape[0]} x {shape[1]}, so no other --input-size")
        how = chosen_for(preprocessing, shape)
        with terminal.staged(console, "exporting", len(calibration)) as report:
            graph = quantize(network, images(calibration, how, shape), progress=report)

        def fp32(image: F32Array) -> F32Array:
            with torch.inference_mode():
                result = runs(torch.from_numpy(image).permute(2, 0, 1)[None])
            first: F32Array = (result[0] if isinstance(result, tuple | list) else result)[0].numpy()
            return first

        yield Quantized(graph, name, how, fp32)


def _program(path: Path) -> tuple[ExportedProgram, tuple[int, int, int]]:
    """An exported program, and height, width and channels of its input."""
    import torch

    try:
        with path.open("rb"):
            program = torch.export.load(path)
    except OSError as error:
        raise DnaError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # torch raises what its archive, pickle and schema do
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DnaError(f"{path} is no exported program of PyTorch: {reason[:200]}") from error
    names = program.graph_signature.user_inputs
    shapes = [
        tuple(node.meta["val"].shape)
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in names
    ]
    if len(shapes) != 1 or len(shapes[0]) != 4 or not all(isinstance(n, int) for n in shapes[0]):
        raise DnaError(f"{path} takes inputs of shape {shapes}; nearest: one, [1, C, H, W], fixed")
    batch, channels, height, width = shapes[0]
    if batch != 1:
        raise DnaError(f"{path} takes a batch of {batch}; nearest: 1")
    return program, (height, width, channels)


def _made(name: str) -> torch.nn.Module:
    """What a function returns; it is imported as Python would from this folder."""
    import torch

    module, colon, function = name.partition(":")
    if not colon or not module or not function.isidentifier():
        raise DnaError(f"--model {name!r} is no {PROGRAM} file and no package.module:function")
    sys.path.insert(0, str(Path.cwd()))
    try:
        made = getattr(importlib.import_module(module), function)()
    except Exception as error:  # it is the user's code
        raise DnaError(f"--model {name}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(Path.cwd()))
    if not isinstance(made, torch.nn.Module):
        raise DnaError(f"--model {name} returns {type(made).__name__}, no torch.nn.Module")
    return made.eval()
