"""The transformed machine against the one that CXXRTL wrote: every register after every cycle.

The real machine, nano, runs a small network in a memory of random content with random latencies and
stalls. Transformed it is the library that everybody uses. Untransformed it is the same RTLIL in
Yosys' own C++, with nothing optimised: no loops, no parts, no net split, and every flip-flop kept,
read or not. (A build with waves lacks those that nothing reads, such as the last column's copies of
the activations; it shows zeros there.) So whatever is a register in the transformed machine is one
in the other, or as a port of the machine a copy of one, and none is left out. The few that only the
other one has Yosys takes to be constant or equal to others, before the pass begins.
"""

import ctypes
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from hw import rtlil
from hw.config import PRESETS
from hw.isa import Opcode, read_program
from hw.top import ObservedDna
from sim import yosys
from sim.driver import Driver
from sim.memory.model import MemoryModel
from sim.memory.stalls import Stalls
from sim.reference import ReferenceModel
from sim.rtl import design, library
from sim.rtl.engines import cxxrtl
from sim.rtl.fast.lane_groups import Groups
from sim.rtl.registry import open_simulator
from sw.compiler import compile_graph
from tests.support.graphs import random_image, random_small_graph

NANO = PRESETS["nano"]
DRIVER = Path(__file__).with_name("lockstep.cc")
MEMORY = MemoryModel(latency=5, bandwidth=0.8, reorder=True, stalls=Stalls(0.2, 7))
UNTRANSFORMED = """\
hierarchy -top top
proc
flatten
setattr -set keep 1 t:$dff
opt_clean
"""
# One of the transformed design: comments, width of a register or of a memory's rows, member of the
# class, rows.
MEMBER = re.compile(
    r"((?:\t//.*\n)*)"
    r"\t(?:/\*output\*/ )?(?:(?:wire|dna_kept)<(\d+)>|memory<(\d+)>) (\w+)(?: \{ (\d+)u \})?;"
)
HIERARCHICAL = re.compile(r"// \\hdlname: (.*)")


def words(width):
    return -(-width // 32)


def parts_of(registers):
    """Number and width of the registers that a wire is kept in, by wire, the lowest first."""
    found = defaultdict(list)
    for number, register in enumerate(registers):
        assert register.low == sum(width for _, width in found[register.wire])
        found[register.wire].append((number, register.width))
    return found


class Table:
    """What the transformed design has, and C++ that reads it.

    Attributes:
        registers, memories: number of words of 32 bits by name.
        lanes: names of the registers that are computed in loops.
    """

    def __init__(self, declarations, groups):
        self.registers, self.memories, self.lanes = {}, {}, []
        registers, memories = [], []
        for comments, width, row, member, depth in MEMBER.findall(declarations):
            path = HIERARCHICAL.search(comments)
            # Ports of the design have no other name than that of the member.
            name = path[1] if path else member.removeprefix("p_").replace("__", "_")
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
            for wire, parts in parts_of(kind.lane.registers).items():
                for place, instance in enumerate(instances):
                    # A register of a chain is an instance of its own.
                    name = instance if wire == "\\Q" else f"{instance}.{wire[1:]}"
                    path = name[1:].replace(".", " ")
                    self.lanes.append(path)
                    self.registers[path] = sum(words(width) for _, width in parts)
                    registers += [
                        f"lane(groups.r_{number}_{register}[{place}], {words(width)});"
                        for register, width in parts
                    ]
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
    """A machine that runs cycle by cycle, and what its registers hold after each."""

    def __init__(self, machine, code):
        self.machine = machine
        self.code = code
        self.cycles = []
        machine.memory[:] = np.random.default_rng(3).integers(0, 256, len(machine.memory), np.uint8)

    def run(self, program, image, table):
        step = self.machine._run

        def run(budget):
            done = step(min(budget, 1))
            self.cycles.append(self.read(table.registers, memories=False))
            return done

        self.machine._run = run
        return Driver(self.machine, program).run(image)

    def read(self, names, *, memories):
        state = np.zeros(sum(names.values()), np.uint32)
        pointers = (ctypes.c_char_p * len(names))(*(name.encode() for name in names))
        self.code.dna_state_of(
            ctypes.c_void_p(self.machine._runner),
            ctypes.c_int(memories),
            pointers,
            ctypes.c_size_t(len(names)),
            ctypes.c_void_p(state.ctypes.data),
        )
        return state

    def is_register(self, name):
        runner = ctypes.c_void_p(self.machine._runner)
        return bool(self.code.dna_is_register(runner, name.encode()))

    @property
    def registers(self):
        """How many there are."""
        return self.code.dna_registers(ctypes.c_void_p(self.machine._runner))


@pytest.fixture
def transformed(tmp_path, monkeypatch):
    """Function from the size of the memory to the machine, watched, and the table of its state."""

    def machine(size):
        captured = []

        class Captured(Groups):
            def __init__(self, text, kinds):
                super().__init__(text, kinds)
                self.kinds = kinds
                captured.append(self)

        with monkeypatch.context() as patch:
            patch.setattr(design, "Groups", Captured)
            source = design.generate(ObservedDna(config=NANO), waves=False)
        table = Table(source.declarations, captured[0])
        whole, code = tmp_path / "whole.h", tmp_path / "state.so"
        whole.write_text(source.declarations + source.main + cxxrtl.PRELUDE + table.code)
        used = library.build(ObservedDna, {"config": NANO}, cxxrtl.SOURCE, cxxrtl.PRELUDE)
        # It computes nothing: the library that everybody uses does.
        library._run_compiler(
            "-O0",
            *library.FLAGS[1:],
            *(f"-I{yosys.headers()}", f"-I{library.FOLDER}"),
            *("-include", library.FOLDER / "one_row.h", "-include", whole),
            *(DRIVER, used, "-o", code),
        )
        return Watched(
            open_simulator(NANO, size=size, memory=MEMORY), ctypes.CDLL(str(code))
        ), table

    return machine


@pytest.fixture
def untransformed(tmp_path, monkeypatch):
    """Function from the size of the memory to the machine, watched."""

    def build(component, parameters, driver, prelude, *, waves):
        return library.build(component, parameters, DRIVER, prelude, waves=True)

    def machine(size):
        with monkeypatch.context() as patch:
            patch.setattr(library, "cache_folder", lambda: tmp_path)
            patch.setattr(library, "FLAGS", ("-O0", *library.FLAGS[1:]))
            patch.setattr(design, "_FLATTEN", UNTRANSFORMED)
            patch.setattr(design, "_FULL_DEBUG", "write_cxxrtl -g3")
            patch.setattr(cxxrtl, "build", build)
            machine = open_simulator(NANO, size=size, memory=MEMORY)
        return Watched(machine, machine._code)

    return machine


def test_every_register_in_every_cycle(transformed, untransformed, monkeypatch):
    texts = []

    def convert(*arguments, **options):
        """The RTLIL is the same for both."""
        texts or texts.append(original(*arguments, **options))
        return texts[0]

    original = rtlil.convert
    monkeypatch.setattr(rtlil, "convert", convert)
    rng = np.random.default_rng(1)
    graph = random_small_graph(rng, shape=(7, 6, 3), classes=4, depthwise=True)
    image = random_image(rng, graph)
    program = compile_graph(graph, NANO)
    assert {it.opcode for it in read_program(program.code)} == set(Opcode)
    expected = ReferenceModel(graph).run(image[None])[0]
    fast, table = transformed(program.memory.size)
    plain = untransformed(program.memory.size)

    assert len(table.lanes) > 100
    copies = {name for name in table.registers if not plain.is_register(name)}
    assert copies < rtlil.component_ports(ObservedDna(config=NANO)).keys()
    assert len(table.registers) > 0.95 * plain.registers
    for watched in (fast, plain):
        output = watched.run(program, image, table)
        assert np.array_equal(output.ravel(), expected.ravel())
    names = np.repeat([*table.registers], [*table.registers.values()])
    assert len(fast.cycles) == len(plain.cycles) > 1000
    for cycle, (mine, right) in enumerate(zip(fast.cycles, plain.cycles, strict=True)):
        assert np.array_equal(mine, right), (cycle, set(names[mine != right]))
    moved = (np.array(fast.cycles[1:]) != np.array(fast.cycles[:-1])).any(axis=0)
    assert moved.mean() > 0.5
    contents = [watched.read(table.memories, memories=True) for watched in (fast, plain)]
    assert np.array_equal(*contents) and contents[0].any()
    assert np.array_equal(fast.machine.memory, plain.machine.memory)
