"""Questions about a design that Yosys' ``write_smt2`` wrote, answered by the solver Yices.

Yosys writes a state as a sort and, over states: ``_i`` what is so at first, ``_is`` whether a
state is the first, ``_u`` what may be assumed, ``_h`` what the hierarchy demands, ``_t`` a step,
``_a`` all assertions, ``_a N`` and ``_c N`` the Nth assertion and cover. Every question is a run of
the solver.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

_NAMED = re.compile(r"^; yosys-smt2-(assert|cover) (\d+) \S*?(?:claim|reach)_(\w+)", re.MULTILINE)
_FALSE = re.compile(r"\(\|top_a (\d+)\| s\d+\)\s+false\)")
SOLVER = Path(sys.executable).parent / "yices-smt2"


class Model:
    """A design, called ``top``, with named assertions and covers.

    Args:
        text: what ``write_smt2`` wrote.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        named = _NAMED.findall(text)
        self._asserts = {number: name for kind, number, name in named if kind == "assert"}
        self._covers = {number: name for kind, number, name in named if kind == "cover"}

    @property
    def claims(self) -> set[str]:
        """Names of the assertions."""
        return set(self._asserts.values())

    def false_within(self, depth: int) -> set[str]:
        """Assertions that are false in the first of ``depth`` states that has any."""
        verdicts = self._verdicts(
            line
            for step in range(depth)
            for line in (
                *_state(step, first=step == 0),
                *("(push 1)", _fails(step), "(check-sat)", "(pop 1)", _holds(step)),
            )
        )
        if "sat" not in verdicts:
            return set()
        last = verdicts.index("sat")
        lines = [line for step in range(last + 1) for line in _state(step, first=step == 0)]
        return self._false(last, [*lines, *map(_holds, range(last))])

    def not_inductive(self, depth: int) -> set[str]:
        """Assertions that can be false although all were true in the ``depth`` states before."""
        lines = [line for step in range(depth + 1) for line in _state(step, first=False)]
        lines += map(_holds, range(depth))
        if self._verdicts([*lines, _fails(depth), "(check-sat)"]) == ["unsat"]:
            return set()
        return self._false(depth, lines)

    def not_kept(self, names: Collection[str]) -> set[str]:
        """Of some assertions those that can be false in the state after one where all were true."""
        lines = [*_state(0, first=False), *_state(1, first=False)]
        return self._refuted(names, 1, [*lines, *self._true(names, 0)])

    def not_implied(self, names: Collection[str]) -> set[str]:
        """Of some assertions those that can be false in a state where all others are true."""
        others = self.claims.difference(names)
        return self._refuted(names, 0, [*_state(0, first=False), *self._true(others, 0)])

    def _refuted(self, names: Collection[str], step: int, lines: Sequence[str]) -> set[str]:
        """Assertions that can be false in state ``step``, each asked for alone."""
        asked = [(number, name) for number, name in self._asserts.items() if name in names]
        verdicts = self._verdicts(
            [
                *lines,
                *(
                    line
                    for number, _ in asked
                    for line in (
                        f"(push 1) (assert (not (|top_a {number}| s{step})))",
                        "(check-sat) (pop 1)",
                    )
                ),
            ]
        )
        return {
            name for (_, name), verdict in zip(asked, verdicts, strict=True) if verdict == "sat"
        }

    def _true(self, names: Collection[str], step: int) -> Iterable[str]:
        return (
            f"(assert (|top_a {number}| s{step}))"
            for number, name in self._asserts.items()
            if name in names
        )

    def not_reached(self, depth: int) -> set[str]:
        """Covers that are true in none of the first ``depth`` states."""
        lines = [line for step in range(depth) for line in _state(step, first=step == 0)]
        for number in self._covers:
            reached = " ".join(f"(|top_c {number}| s{step})" for step in range(depth))
            lines += ["(push 1)", f"(assert (or false {reached}))", "(check-sat)", "(pop 1)"]
        names = zip(self._covers.values(), self._verdicts(lines), strict=True)
        return {name for name, verdict in names if verdict == "unsat"}

    def _false(self, step: int, lines: Sequence[str]) -> set[str]:
        """Assertions that are false in state ``step``, in one answer to ``lines``."""
        values = " ".join(f"(|top_a {number}| s{step})" for number in self._asserts)
        answer = self._solve([*lines, _fails(step), "(check-sat)", f"(get-value ({values}))"])
        return {self._asserts[number] for number in _FALSE.findall(answer)}

    def _verdicts(self, lines: Iterable[str]) -> list[str]:
        answer = self._solve(lines).split()
        assert set(answer) <= {"sat", "unsat"}, answer
        return answer

    def _solve(self, lines: Iterable[str]) -> str:
        script = ["(set-option :produce-models true)", "(set-logic QF_AUFBV)", self._text, *lines]
        done = subprocess.run(
            [SOLVER, "--incremental"], input="\n".join(script), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def _state(step: int, *, first: bool) -> Iterable[str]:
    """State ``step``, which follows the one before; perhaps the first one of a run."""
    yield f"(declare-fun s{step} () |top_s|)"
    yield from (f"(assert (|top_{what}| s{step}))" for what in ("uhi" if first else "uh"))
    yield f"(assert (= (|top_is| s{step}) {str(first).lower()}))"
    if step:
        yield f"(assert (|top_t| s{step - 1} s{step}))"


def _holds(step: int) -> str:
    return f"(assert (|top_a| s{step}))"


def _fails(step: int) -> str:
    return f"(assert (not (|top_a| s{step})))"
