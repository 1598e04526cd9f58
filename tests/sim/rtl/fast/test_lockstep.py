"""The transformed machine against the one that CXXRTL wrote: every register after every cycle.

The real machine, nano, runs a small network in a memory of random content with random latencies and
stalls. Untransformed it is the build with waves: no loops, no parts, no net split, nothing purged.
"""

import ctypes
import re
from pathlib import Path

import numpy as np
import pytest

from hw.config import PRESETS
from sim.driver import Driver
from sim.memory.model import MemoryModel
from sim.memory.stalls import Stalls
from sim.reference import ReferenceModel
from sim.rtl import design, library
from sim.rtl.engines import cxxrtl
from sim.rtl.fast.lane_groups import Groups
from sim.rtl.fast.split_eval import Source
from sim.rtl.registry import open_simulator
from sw.compiler import compile_graph
from tests.support.graphs import random_image, random_small_graph

NANO = PRESETS["nano"]
DRIVER = Path(__file__).with_name("lockstep.cc")
MEMORY = MemoryModel(latency=9, bandwidth=0.5, reorder=True, stalls=Stalls(0.3, 7))
# What is left in the transformed design: name in the hierarchy, width of a register or of a
# memory's rows, member of the class, rows.
MEMBER = re.compile(
    r"\t// \\hdlname: (.*)\n(?:\t//.*\n)*"
    r"\t(?:/\*output\*/ )?(?:wire<(\d+)>|memory<(\d+)>) (\w+)(?: \{ (\d+)u \})?;"
)


def words(width):
    return -(-width // 32)


class Table:
    """What the transformed design has, and C++ that reads it."""

    def __init__(self, declarations, groups):
        registers, memories = [], []
        self.registers, self.memories = {}, {}  # number of words by name
        for name, width, row, member, depth in MEMBER.findall(declarations):
            if width:
                self.registers[name] = words(int(width))
                registers.append(f"put(top.{member}.curr.data, top.{member}.curr.chunks);")
            else:
                self.memories[name] = words(int(row)) * int(depth)
                memories.append(
                    f"for (size_t i = 0; i < {depth}; i++) "
                    f"put(top.{member}[i].data, top.{member}[i].chunks);"
                )
        lanes = zip(groups.kinds, groups.instances, strict=True)
        for number, (kind, instances) in enumerate(lanes):
            for register, (name, (width, _)) in enumerate(kind.lane.registers.items()):
                for place, instance in enumerate(instances):
                    path = f"{instance}.{name[1:]}"[1:].replace(".", " ")
                    self.registers[path] = words(width)
                    registers.append(
                        f"lane(groups.r_{number}_{register}[{place}], {words(width)});"
                    )
        self.code = "\n".join(
            [
                "template<class Put> static void dna_registers(const cxxrtl_design::p_top &top, "
                "const DnaGroups &groups, Put put) {",
                "auto lane = [&](uint64_t value, size_t count) {",
                "uint32_t data[2] = {uint32_t(value), uint32_t(value >> 32)};",
                "put(data, count);",
                "};",
                *registers,
                "}",
                "template<class Put> static void dna_memories(const cxxrtl_design::p_top &top, "
                "Put put) {",
                *memories,
                "}",
                "",
            ]
        )


class Watched:
    """A machine that runs cycle by cycle and keeps what its registers hold."""

    def __init__(self, machine, table):
        self.machine = machine
        self.table = table
        self.cycles = []
        self.step = machine._run
        machine._run = self.run

    def run(self, budget):
        done = self.step(min(budget, 1))
        self.cycles.append(self.read(self.table.registers, memories=False))
        return done

    def read(self, names, *, memories):
        state = np.zeros(sum(names.values()), np.uint32)
        pointers = (ctypes.c_char_p * len(names))(*(name.encode() for name in names))
        self.machine._code.dna_state_of(
            ctypes.c_void_p(self.machine._runner),
            ctypes.c_int(memories),
            pointers,
            ctypes.c_size_t(len(names)),
            ctypes.c_void_p(state.ctypes.data),
        )
        return state


@pytest.fixture
def watch(tmp_path, monkeypatch):
    """Function from whether the machine is transformed to the machine, watched."""
    captured, tables = [], []

    class Captured(Groups):
        def __init__(self, text, kinds):
            super().__init__(text, kinds)
            self.kinds = kinds
            captured.append(self)

    def generate(component, *, waves):
        source = design.generate(component, waves=waves)
        if waves:
            return source
        tables.append(Table(source.declarations, captured[0]))
        return Source(source.declarations, source.main + tables[0].code, source.parts)

    def machine(size, *, transformed):
        def build(component, parameters, driver, prelude, *, waves):
            return library.build(component, parameters, DRIVER, prelude, waves=not transformed)

        monkeypatch.setattr(cxxrtl, "build", build)
        made = open_simulator(NANO, size=size, memory=MEMORY)
        made.memory[:] = np.random.default_rng(3).integers(0, 256, size, np.uint8)
        return Watched(made, tables[0])

    monkeypatch.setattr(library, "cache_folder", lambda: tmp_path)
    flags = ("-O1", *library.FLAGS[1:], f"-I{library.FOLDER}")
    monkeypatch.setattr(library, "FLAGS", flags)
    monkeypatch.setattr(library, "generate", generate)
    monkeypatch.setattr(design, "Groups", Captured)
    return machine


def test_every_register_in_every_cycle(watch):
    rng = np.random.default_rng(1)
    graph = random_small_graph(rng)
    image = random_image(rng, graph)
    program = compile_graph(graph, NANO)
    expected = ReferenceModel(graph).run(image[None])[0]
    fast, plain = (
        watch(program.memory.size, transformed=transformed) for transformed in (True, False)
    )
    for watched in (fast, plain):
        assert np.array_equal(Driver(watched.machine, program).run(image).ravel(), expected.ravel())
    names = np.repeat([*fast.table.registers], [*fast.table.registers.values()])
    assert len(fast.cycles) == len(plain.cycles) > 2000
    for cycle, (mine, right) in enumerate(zip(fast.cycles, plain.cycles, strict=True)):
        assert np.array_equal(mine, right), (cycle, set(names[mine != right]))
    moved = (np.array(fast.cycles[1:]) != np.array(fast.cycles[:-1])).any(axis=0)
    assert moved.mean() > 0.5
    contents = [watched.read(fast.table.memories, memories=True) for watched in (fast, plain)]
    assert np.array_equal(*contents) and contents[0].any()
    assert np.array_equal(fast.machine.memory, plain.machine.memory)
