"""What a program means: every instruction in plain numpy, from the bytes alone.

The interpreter knows nothing of the compiler. It reads a program and a memory window and does what
``hw/isa/`` and docs/machine.md say, one whole instruction at a time. Which engine goes next is a
choice: without a seed the oldest instruction that can run, with a seed any, at random; then also
how many instructions an engine may have in front of it. A program whose tokens are right gives the
same bytes for every seed.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable

import numpy as np

from hw.config import DnaConfig
from hw.isa import (
    ISA_VERSION,
    MAGIC,
    TOKEN_LIMIT,
    Engine,
    Instruction,
    InstructionError,
    Opcode,
    read_program,
)
from sim.interpreter.errors import ProgramError
from sim.interpreter.semantics import Bytes, Int8, Int64, Semantics


@dataclasses.dataclass(frozen=True)
class Executed:
    """An instruction that has just been executed.

    Attributes:
        number: its position in the program.
        instruction: itself.
        feature: int8 [feature_words, rows], the feature memory now.
        parts: what it wrote there, addresses [n] and content [n, rows], in order.
    """

    number: int
    instruction: Instruction
    feature: Int8
    parts: list[tuple[Int64, Int8]]

    @property
    def written(self) -> tuple[Int64, Int8]:
        """The words that it wrote to the feature memory: int64 [n] and int8 [n, rows]."""
        rows = self.feature.shape[1]
        addresses = [np.zeros(0, np.int64), *(addresses for addresses, _ in self.parts)]
        contents = [np.zeros((0, rows), np.int8), *(content for _, content in self.parts)]
        return np.concatenate(addresses), np.concatenate(contents)


class Interpreter:
    """A machine that executes programs.

    Args:
        config: what it is.
        dram: uint8, the memory window; programs change it.
    """

    def __init__(self, config: DnaConfig, dram: Bytes) -> None:
        self.config = config
        self.semantics = Semantics(config, dram)

    @property
    def feature(self) -> Int8:
        """The feature memory, int8 [feature_words, rows]."""
        return self.semantics.feature

    def run(
        self,
        code: bytes,
        *,
        seed: int | None = None,
        after: Callable[[Executed], None] | None = None,
    ) -> None:
        """Run a program from its first instruction to END.

        Args:
            code: the program.
            seed: of the order in which engines go on; None: the order of the program.
            after: called after every instruction but HEADER and END.

        Raises:
            ProgramError: the program is damaged, is for another machine, breaks a rule of the
                machine, cannot go on, or leaves tokens, tiles or weights behind.
        """
        try:
            program = read_program(code)
        except InstructionError as error:
            raise ProgramError(str(error)) from error
        self._check_header(program[0])
        self.semantics.reset()
        _Run(self.semantics, program, seed, after).to_end()

    def _check_header(self, header: Instruction) -> None:
        expected = {
            "magic": MAGIC,
            "isa_version": ISA_VERSION,
            "config": int(self.config.digest, 16),
        }
        for name, value in expected.items():
            if header[name] != value:
                raise ProgramError(f"the program has {name} {header[name]:#x}, not {value:#x}")


class _Run:
    """One execution: dispatch in program order to the queues of the engines."""

    def __init__(
        self,
        machine: Semantics,
        program: list[Instruction],
        seed: int | None,
        after: Callable[[Executed], None] | None,
    ) -> None:
        self.machine = machine
        self.program = program
        self.after = after
        self.rng = None if seed is None else np.random.default_rng(seed)
        # A short queue can lock up a program, a long one lets engines run far apart.
        self.depth = 1 if self.rng is None else int(self.rng.choice([1, 2, len(program)]))
        if self.rng is not None:
            exponents = self.rng.uniform(-3, 0, len(Engine))
            self.weights = dict(zip(Engine, 10**exponents, strict=True))
        self.next = 1
        self.tokens = {(producer, consumer): 0 for producer in Engine for consumer in Engine}
        self.queues: dict[Engine, deque[int]] = {engine: deque() for engine in Engine}
        # The weight FIFO is finite: what WEIGHTS may read ahead of the CONVs that were dispatched.
        self.weight_room = machine.config.weight_fifo_words * machine.config.dram_bytes_per_cycle

    def _choices(self) -> list[int]:
        """Positions of instructions that can run or be dispatched now."""
        heads = [queue[0] for queue in self.queues.values() if queue]
        choices = [number for number in heads if self._can_run(number)]
        if self._can_dispatch():
            choices.append(self.next)
        return choices

    def _can_dispatch(self) -> bool:
        return self.next < len(self.program) and (
            len(self.queues[self.program[self.next].engine]) < self.depth
        )

    def _can_run(self, number: int) -> bool:
        op, machine = self.program[number], self.machine
        if not self._tokens_there(op):
            return False
        match op.opcode:
            case Opcode.WEIGHTS:
                return op["length"] * machine.config.dram_bytes_per_cycle <= self.weight_room
            case Opcode.CONV:
                return machine.conv_ready(op)
            case Opcode.POST:
                return machine.post_ready(op)
        return True

    def _tokens_there(self, op: Instruction) -> bool:
        return all(
            self.tokens[producer, op.engine] for producer in Engine if op["wait"] >> producer & 1
        )

    def _take_tokens(self, op: Instruction) -> None:
        for producer in Engine:
            self.tokens[producer, op.engine] -= op["wait"] >> producer & 1

    def _give_tokens(self, op: Instruction) -> None:
        for consumer in Engine:
            self.tokens[op.engine, consumer] += op["signal"] >> consumer & 1
            if self.tokens[op.engine, consumer] > TOKEN_LIMIT:
                raise ProgramError(
                    f"more than {TOKEN_LIMIT} tokens from {op.engine.name} to {consumer.name}"
                )

    def _check_tokens(self) -> None:
        for (producer, consumer), count in self.tokens.items():
            if count:
                raise ProgramError(
                    f"{count} tokens from {producer.name} to {consumer.name} are left"
                )

    def to_end(self) -> None:
        """Run until END; check that nothing is left."""
        while True:
            choices = self._choices()
            if not choices:
                raise ProgramError(f"the program cannot go on: {self._waits()}")
            number = min(choices) if self.rng is None else self._draw(choices)
            if number == self.next:
                self._dispatch()
                continue
            op = self.program[number]
            self.queues[op.engine].popleft()
            self._take_tokens(op)
            if op.opcode is Opcode.END:
                break
            self._run(number, op)
        if any(self.queues.values()):
            raise ProgramError(f"END does not wait for {self._waits()}")
        self._check_tokens()
        self.machine.check_empty()

    def _draw(self, choices: list[int]) -> int:
        """One of ``choices``: engines with a small weight hang far behind the others."""
        assert self.rng is not None
        engines = [
            Engine.CONTROL if number == self.next else self.program[number].engine
            for number in choices
        ]
        weights = np.array([self.weights[engine] for engine in engines])
        return int(self.rng.choice(choices, p=weights / weights.sum()))

    def _dispatch(self) -> None:
        op = self.program[self.next]
        self.queues[op.engine].append(self.next)
        if op.opcode is Opcode.CONV:
            self.weight_room += self.machine.stream_length(op)
        self.next += 1

    def _run(self, number: int, op: Instruction) -> None:
        try:
            self.machine.execute(op)
        except ProgramError as fault:
            raise ProgramError(
                f"instruction {number} ({op.opcode.name} of layer {op['layer']}): {fault}"
            ) from None
        if op.opcode is Opcode.WEIGHTS:
            self.weight_room -= op["length"] * self.machine.config.dram_bytes_per_cycle
        self._give_tokens(op)
        if self.after is not None:
            self.after(Executed(number, op, self.machine.feature, self.machine.written))

    def _waits(self) -> str:
        return ", ".join(
            f"instruction {number} ({self.program[number].opcode.name})"
            for number in sorted(queue[0] for queue in self.queues.values() if queue)
        )
