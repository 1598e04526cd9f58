"""A program of another version's compiler: bound to its network, and within its memories."""

import json

import msgspec
import pytest

from hw.isa import Opcode, program_bytes, read_program
from hw.isa.encoding import Instruction
from sw import artifact
from sw.errors import DnaError
from tests.sw.artifact.support import rehash, rewrite


@pytest.fixture
def foreign(compiled):
    _, path = compiled
    rewrite(path, lambda manifest: manifest["target"].update(compiler="another"))
    rehash(path, seal=True)
    return path


def change_instruction(path, opcode, change):
    program = read_program((path / artifact.CODE).read_bytes())
    number = next(n for n, op in enumerate(program) if op.opcode is opcode)
    fields = {**program[number].fields}
    change(fields)
    program[number] = Instruction(opcode, fields)
    (path / artifact.CODE).write_bytes(program_bytes(program))


def change_layers(path, change):
    layers = json.loads((path / artifact.LAYERS).read_text())
    change(layers)
    (path / artifact.LAYERS).write_text(json.dumps(layers))


def test_it_is_read(foreign, compiled):
    assert artifact.load(foreign).program == compiled[0].program


def test_it_is_bound_to_its_network(foreign):
    layers = msgspec.json.decode((foreign / artifact.LAYERS).read_bytes())
    layers[0]["macs"] += 1
    (foreign / artifact.LAYERS).write_bytes(msgspec.json.encode(layers))
    rehash(foreign)
    with pytest.raises(DnaError, match="is not the one that was compiled"):
        artifact.load(foreign)


@pytest.mark.parametrize(
    ("opcode", "field", "value", "message"),
    [
        (Opcode.LOAD, "dram", 2**31, r"LOAD\): bytes \d+ to \d+ are not inside"),
        (Opcode.LOAD, "out_base", 4095, r"LOAD\): words 4095 to \d+ are not in the feature memory"),
        (Opcode.STORE, "dram", 0, r"STORE\): bytes 0 to \d+ are not inside"),
        (Opcode.WEIGHTS, "dram", 2**31, r"WEIGHTS\): bytes \d+ to \d+ are not inside"),
        (Opcode.POST, "out_base", 4095, r"POST\): words"),
        (Opcode.MAX_POOL, "in_pitch", 65535, r"MAX_POOL\): words"),
        (Opcode.CONV, "in_height", 0, r"CONV\): it touches nothing"),
        (Opcode.CONV, "passes", 63, r"sends \d+ bytes of weights and takes \d+"),
        (Opcode.CONV, "layer", 200, "is of layer 200"),
        (Opcode.HEADER, "magic", 1, "its magic is 0x1, not"),
        (Opcode.HEADER, "length", 3, "truncated"),
    ],
)
def test_instructions_stay_within_their_memories(foreign, opcode, field, value, message):
    change_instruction(foreign, opcode, lambda fields: fields.update({field: value}))
    rehash(foreign, seal=True)
    with pytest.raises(DnaError, match=message):
        artifact.load(foreign)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers: layers.pop(), "its layers are not the operations"),
        (lambda layers: layers.reverse(), "not numbered in order"),
        (lambda layers: layers[0].update(output="nothing"), "layer 0 has the output 'nothing'"),
        (lambda layers: layers[0].update(shape=[1, 2, 3]), "layer 0 has the output"),
        (lambda layers: layers[0].update(words=0), "layer 0 has 0 words"),
        (lambda layers: layers[0]["stripes"][0].update(row=-1), "layer 0 has no StripePlace"),
    ],
)
def test_tables_are_those_of_the_graph(foreign, change, message):
    change_layers(foreign, change)
    rehash(foreign, seal=True)
    with pytest.raises(DnaError, match=message):
        artifact.load(foreign)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda memory: memory.update(size=2**40), "a memory window of"),
        (lambda memory: memory.update(size=4096), "is not inside 4096 bytes"),
        (lambda memory: memory["input"].update(height=9), "is not Tensor"),
        (lambda memory: memory["input"].update(pitch=1), "rows of input overlap"),
        (lambda memory: memory["output"].update(tensor="x"), "is not Tensor"),
        (lambda memory: memory["output"].update(pixel_bytes=1), "in pixels of 1 bytes"),
        (lambda memory: memory["weights"].update(offset=4096), "overlap"),
        (lambda memory: memory.update(operands=[memory["output"]]), "overlap|part of a network"),
    ],
)
def test_regions_are_inside_the_window_and_apart(foreign, change, message):
    rewrite(foreign, lambda manifest: change(manifest["target"]["memory"]))
    rehash(foreign, seal=True)
    with pytest.raises(DnaError, match=message):
        artifact.load(foreign)
