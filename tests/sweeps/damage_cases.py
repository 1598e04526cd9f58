"""Artifacts to damage, the ways to damage them, and what must become of a damaged one.

A case is a pure function of a seed and a number.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import safetensors
import safetensors.numpy

from hw.isa import FORMATS, Engine, Instruction, InstructionError, program_bytes, read_program
from sim.functional import FunctionalModel
from sim.reference import ReferenceModel
from sim.verify.interpreter import interpret_program
from sim.verify.outputs import together
from sw import artifact
from sw.artifact.binding import sealed
from sw.artifact.manifest import Target
from sw.compiler import compile_graph
from sw.errors import DnaError
from tests.support.programs import noise, random_network
from tests.sweeps.machines import MACHINES

Files = dict[str, bytes]
Rng = np.random.Generator

BASES = 12
"""Whole artifacts; two of three are compiled, one of three for several images too."""

JSON_FILES = (artifact.MANIFEST, artifact.GRAPH, artifact.LAYERS, artifact.BATCH_LAYERS)

NUMBERS = (
    *(0, 1, -1, 2, 127, 128, -128, -129, 255, 4096, 32768, 65536),
    *(2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 10**30),
    *(0.5, -0.5, 1e-45, 1e-38, 1e38, 1e300, 1e-300),
)
"""What a damaged number becomes, among others."""

REHASHED = ("as they were", "files' made anew", "all made anew")
"""What becomes of the checksums of damaged files."""

UNREADABLE = (
    *(KeyError, TypeError, ValueError, RecursionError),
    *(msgspec.MsgspecError, safetensors.SafetensorError),
)
"""What the tests' own reading of damaged files meets."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of a case.

    Attributes:
        kind: ``refused``, ``equal`` (it loads, and all engines agree), or what is wrong:
            ``differs``, ``error``, ``crash``, ``hangs``.
        text: the refusal, or what is wrong.
        damage: what was done.
        program: of a case that loads, whether it has a program.
    """

    kind: str
    text: str
    damage: str
    program: bool = False

    @property
    def clean(self) -> bool:
        """Whether it is as it should be."""
        return self.kind in ("refused", "equal")


def bases(folder: Path, count: int = BASES) -> list[Files]:
    """Whole artifacts of random networks of every operator, as the files of their folders."""
    found: list[Files] = []
    number = 0
    while len(found) < count:
        rng = np.random.default_rng([7, number])
        number += 1
        graph = random_network(rng)
        classes = int(np.prod(graph.tensors[graph.output].shape))
        if sum(map(graph.macs, graph.operations)) > 100_000 or classes > 200:
            continue
        network = artifact.make(
            graph,
            model=f"network {number}",
            framework="none",
            preprocessing="caffe" if graph.tensors[graph.input].shape[2] == 3 else None,
        )
        if len(found) % 3:
            machines = list(MACHINES.values())
            try:
                machine = machines[number % len(machines)]
                program = compile_graph(graph, machine)
                several = compile_graph(graph, machine, images=2) if len(found) % 3 > 1 else None
            except DnaError:
                continue
            network = artifact.with_program(network, program, several)
        path = folder / str(number)
        artifact.save(network, path)
        found.append({file.name: file.read_bytes() for file in path.iterdir()})
    return found


# Kinds of damage: each changes files and says what it did; StopIteration if it does not apply.

Damage = Callable[[Rng, Files, list[Files]], str]


def _pick(rng: Rng, choices: Any) -> Any:
    choices = list(choices)
    if not choices:
        raise StopIteration
    return choices[int(rng.integers(len(choices)))]


def _flip(rng: Rng, files: Files, _others: list[Files]) -> str:
    name = _pick(rng, [name for name, content in sorted(files.items()) if content])
    content = bytearray(files[name])
    for _ in range(int(rng.choice([1, 1, 2, 8]))):
        content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    files[name] = bytes(content)
    return f"bits of {name} flipped"


def _cut(rng: Rng, files: Files, _others: list[Files]) -> str:
    name = _pick(rng, sorted(files))
    content = files[name]
    start, stop = sorted(int(n) for n in rng.integers(0, len(content) + 1, 2))
    new = {
        "cut": content[:start],
        "lacks a part": content[:start] + content[stop:],
        "repeats a part": content[:stop] + content[start:],
        "has more": content + rng.bytes(int(rng.integers(1, 100))),
        "is empty": b"",
        "is deep": b"[" * 100_000,
        "is noise": rng.bytes(len(content)),
    }
    how = _pick(rng, new)
    files[name] = new[how]
    return f"{name}: {how}"


def _swap(rng: Rng, files: Files, others: list[Files]) -> str:
    other = _pick(rng, others)
    program = (artifact.CODE, artifact.WEIGHTS, artifact.LAYERS)
    groups = [(name,) for name in (*program, artifact.GRAPH, artifact.CONSTANTS, artifact.MANIFEST)]
    groups += [program, (artifact.GRAPH, artifact.CONSTANTS), (artifact.CODE, artifact.WEIGHTS)]
    names = _pick(rng, [g for g in groups if all(n in files and n in other for n in g)])
    for name in names:
        files[name] = other[name]
    said = f"{', '.join(names)} of another artifact"
    if names == program and rng.integers(2):
        mine, theirs = (json.loads(each[artifact.MANIFEST]) for each in (files, other))
        mine["target"] = theirs["target"]
        files[artifact.MANIFEST] = json.dumps(mine).encode()
        said += ", with its target"
    return said


def _exchange(rng: Rng, files: Files, _others: list[Files]) -> str:
    one, two = (str(name) for name in rng.choice(sorted(files), 2, replace=False))
    files[one], files[two] = files[two], files[one]
    return f"{one} and {two} exchanged"


def _rename_file(rng: Rng, files: Files, _others: list[Files]) -> str:
    name = _pick(rng, sorted(files))
    content = files.pop(name)
    new = _pick(rng, [None, name.upper(), f"{name}.old", "x"])
    if new is not None:
        files[new] = content
    return f"{name} became {new}"


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        if value:
            yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from _containers(each)


def _json(
    rng: Rng, files: Files, change: Callable[[Rng, list[Any]], str], wanted: Callable[[Any], bool]
) -> str:
    name = _pick(rng, [name for name in JSON_FILES if name in files])
    document = json.loads(files[name])
    said = change(rng, [each for each in _containers(document) if wanted(each)])
    files[name] = json.dumps(document).encode()
    return f"{name}: {said}"


def _keys(container: Any) -> list[Any]:
    return list(container) if isinstance(container, dict) else list(range(len(container)))


def _rename_key(rng: Rng, files: Files, _others: list[Files]) -> str:
    def change(rng: Rng, found: list[Any]) -> str:
        container = _pick(rng, found)
        key = _pick(rng, container)
        value = container.pop(key)
        new = _pick(rng, [None, f"{key}s", key[:-1], _pick(rng, _pick(rng, found))])
        if new is not None:
            container[new] = value
        return f"key {key!r} became {new!r}"

    return _json(rng, files, change, lambda each: isinstance(each, dict))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(rng: Rng, files: Files, _others: list[Files]) -> str:
    def change(rng: Rng, found: list[Any]) -> str:
        container = _pick(rng, found)
        key = _pick(rng, [key for key in _keys(container) if _is_number(container[key])])
        old = container[key]
        near: list[Any] = [old + 1, old - 1, -old, 2 * old, float(old), str(old), None, [old]]
        container[key] = new = _pick(rng, near if rng.integers(2) else NUMBERS)
        return f"{key!r} {old} became {new!r}"

    return _json(rng, files, change, lambda each: any(_is_number(each[key]) for key in _keys(each)))


def _string(rng: Rng, files: Files, _others: list[Files]) -> str:
    def change(rng: Rng, found: list[Any]) -> str:
        container = _pick(rng, found)
        key = _pick(rng, [key for key in _keys(container) if isinstance(container[key], str)])
        words = [word for each in found for word in map(each.get, each) if isinstance(word, str)]
        old = container[key]
        container[key] = new = _pick(rng, ["", "x", f"{old}x", 0, None, "../x", *words])
        return f"{key!r} {old!r} became {new!r}"

    def wanted(each: Any) -> bool:
        return isinstance(each, dict) and any(isinstance(word, str) for word in each.values())

    return _json(rng, files, change, wanted)


def _items(rng: Rng, files: Files, _others: list[Files]) -> str:
    def change(rng: Rng, found: list[Any]) -> str:
        container = _pick(rng, found)
        one, two = (int(n) for n in rng.integers(0, len(container), 2))
        how = _pick(rng, ["dropped", "repeated", "exchanged", "emptied"])
        if how == "dropped":
            del container[one]
        elif how == "repeated":
            container.insert(two, copy.deepcopy(container[one]))
        elif how == "exchanged":
            container[one], container[two] = container[two], container[one]
        else:
            container.clear()
        return f"items {how}"

    return _json(rng, files, change, lambda each: isinstance(each, list))


def _array(rng: Rng, files: Files, _others: list[Files]) -> str:
    arrays = safetensors.numpy.load(files[artifact.CONSTANTS])
    name = _pick(rng, sorted(arrays))
    array = np.array(arrays.pop(name))
    flat = array.reshape(-1)
    at = int(rng.integers(flat.size))
    how = _pick(
        rng, ["value", "value", "value", "dtype", "shape", "axes", "gone", "called", "part"]
    )
    if how == "value":
        extremes = (
            [np.iinfo(array.dtype).min, np.iinfo(array.dtype).max, 0, 1]
            if array.dtype.kind == "i"
            else [0.0, -1.0, np.nan, np.inf, 1e-45, 1e30, float(flat[at]) * 1.5]
        )
        where = at if rng.integers(2) else slice(at, at + int(rng.integers(flat.size)))
        flat[where] = _pick(rng, extremes)
    elif how == "dtype":
        with np.errstate(all="ignore"):
            array = array.astype(_pick(rng, ["i1", "u1", "i2", "i4", "i8", "f2", "f4", "f8", "?"]))
    elif how == "shape":
        array = array.reshape(_pick(rng, [(-1,), (1, *array.shape), (*array.shape, 1)]))
    elif how == "axes":
        array = np.ascontiguousarray(array.transpose(rng.permutation(array.ndim)))
    elif how == "part":
        array = array[: int(rng.integers(len(array)))]
    if how not in ("gone", "called"):
        arrays[name] = array
    if how == "called":
        arrays[_pick(rng, [f"{name}s", *sorted(arrays)])] = array
    files[artifact.CONSTANTS] = safetensors.numpy.save(arrays)
    return f"{name}: another {how}"


def _instruction(rng: Rng, files: Files, _others: list[Files]) -> str:
    if artifact.CODE not in files:
        raise StopIteration
    program = read_program(files[artifact.CODE])
    how = _pick(rng, ["field", "field", "field", "dropped", "repeated", "exchanged"])
    one, two = (int(n) for n in rng.integers(0, len(program), 2))
    op = program[one]
    if how == "field":
        field = _pick(rng, FORMATS[op.opcode].fields) if op.engine is not Engine.CONTROL else None
        name = _pick(rng, op.fields) if field is None else field.name
        low, high = (0, 255) if field is None else field.range
        value = _pick(
            rng, [low, high, op[name] + 1, op[name] - 1, int(rng.integers(low, high + 1))]
        )
        try:
            program[one] = Instruction(op.opcode, {**op.fields, name: value})
        except InstructionError:
            raise StopIteration from None
        how = f"{op.opcode.name}.{name} became {value}"
    elif how == "dropped":
        del program[one]
    elif how == "repeated":
        program.insert(two, op)
    else:
        program[one], program[two] = program[two], program[one]
    files[artifact.CODE] = program_bytes(program)
    return f"instruction {one}: {how}"


DAMAGES: dict[str, Damage] = {
    "flip": _flip,
    "cut": _cut,
    "swap": _swap,
    "exchange": _exchange,
    "rename file": _rename_file,
    "rename key": _rename_key,
    "number": _number,
    "string": _string,
    "items": _items,
    "array": _array,
    "instruction": _instruction,
}


def rehash(files: Files, level: int) -> None:
    """Make checksums fit damaged files, as far as the manifest is still one.

    Args:
        level: an index of :data:`REHASHED`: 1 those of the files; 2 also those that bind a program
            to its network, as :func:`sw.artifact.save` makes them.
    """
    if not level:
        return
    with contextlib.suppress(*UNREADABLE):
        manifest = json.loads(files[artifact.MANIFEST])
        for name in manifest["files"]:
            if name in files:
                manifest["files"][name] = hashlib.sha256(files[name]).hexdigest()
        files[artifact.MANIFEST] = json.dumps(manifest).encode()
        if level == 2:
            target = msgspec.convert(manifest["target"], Target)
            bound = sealed(target, manifest["files"])
            manifest["target"] |= {"network": bound.network, "program": bound.program}
            files[artifact.MANIFEST] = json.dumps(manifest).encode()


def damaged(seed: int, number: int, whole: list[Files]) -> tuple[Files, str]:
    """The files of a case, and what was done to them."""
    rng = np.random.default_rng([seed, number])
    while True:
        base = int(rng.integers(len(whole)))
        others = [*whole[:base], *whole[base + 1 :]]
        files, said = dict(whole[base]), []
        try:
            for _ in range(int(rng.choice([1, 1, 1, 2]))):
                said.append(DAMAGES[_pick(rng, DAMAGES)](rng, files, others))
        except (StopIteration, *UNREADABLE):
            continue  # a second damage of what the first left nothing of, or none of this kind
        level = int(rng.choice([0, 1, 1, 2, 2]))
        rehash(files, level)
        return files, f"base {base}; {'; '.join(said)}; checksums {REHASHED[level]}"


def judge(seed: int, number: int, whole: list[Files], folder: Path) -> Verdict:
    """Do case ``number`` in ``folder``, which is empty, and judge what becomes of it."""
    files, damage = damaged(seed, number, whole)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return _judge_loaded(folder, damage)
    except DnaError as error:
        return Verdict("refused", str(error), damage)
    except Exception as error:
        return Verdict("error", f"{type(error).__name__}: {error}", damage)


def _judge_loaded(folder: Path, damage: str) -> Verdict:
    network = artifact.load(folder)
    image = noise(np.random.default_rng(1), network.graph)
    right = ReferenceModel(network.graph).run_all(image)
    fast = FunctionalModel(network.graph).run_all(image)
    wrong = [name for name in right if not np.array_equal(right[name], fast[name])]
    if wrong:
        return Verdict("differs", f"the functional model in {', '.join(wrong)}", damage)
    if network.program is None:
        return Verdict("equal", "", damage)
    result = interpret_program(network.program, image, right)
    if result.mismatches or not result.values:
        return Verdict("differs", "the interpreter", damage, program=True)
    if network.batch is not None:
        images = network.batch.images
        result = interpret_program(
            network.batch, np.stack([image] * images), together([right] * images)
        )
        if result.mismatches or not result.values:
            return Verdict("differs", "the interpreter, of several images", damage, program=True)
    return Verdict("equal", "", damage, program=True)
