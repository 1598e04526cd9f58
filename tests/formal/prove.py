"""Proofs of hardware: Amaranth to RTLIL, Yosys to SMT-LIB, and the solver Yices.

A bench is a function that fills a module: it places the component, lets its inputs do as they like
(:func:`free`), restricts them by ``Assume``, states properties by :func:`claim` and says by
:func:`reach` what must be able to happen, so that no proof is about nothing.
"""

from __future__ import annotations

import inspect
import re
import tempfile
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Assert, ClockDomain, Cover, Module, Signal, Value
from amaranth.hdl._ast import AnyConst, AnySeq
from amaranth.lib.wiring import Component, Flow

from hw import rtlil
from sim import yosys
from tests import skips
from tests.formal.smt import SOLVER, Model

_SCRIPT = """
read_rtlil bench.il
hierarchy -check -top top
proc
flatten
chformal -lower
{choice}
memory -nomap
memory_map
async2sync
dffunmap
opt_clean
write_smt2 -wires bench.smt2
"""
_CHECK = re.compile(
    r'cell \$check \$\d+(\n(?: .*\n)*? +parameter \\FORMAT "((?:claim|reach)_\w+)")'
)

Bench = Callable[[Module], None]


def free(m: Module, component: Component) -> None:
    """Let every input of ``component`` have any value in any cycle."""
    for _, member, port in component.signature.flatten(component):
        if member.flow is Flow.In:
            any_value(m, Value.cast(port))


def any_value(m: Module, signal: Value) -> None:
    """Let ``signal`` have any value in any cycle."""
    m.d.comb += signal.eq(AnySeq(len(signal)))


def any_constant(m: Module, shape: Any, *, name: str) -> Signal:
    """A signal of any value that never changes."""
    signal = Signal(shape, name=name)
    m.d.comb += signal.eq(AnyConst(len(signal)))
    return signal


def claim(m: Module, name: str, holds: Any) -> None:
    """State that ``holds`` is true in every cycle."""
    m.d.comb += Assert(holds, f"claim_{name}")


def reach(m: Module, name: str, happens: Any) -> None:
    """State that ``happens`` can be true in some cycle."""
    m.d.comb += Cover(happens, f"reach_{name}")


def before(m: Module, value: Value) -> Signal:
    """``value`` one cycle ago; 0 in the first cycle. Not to be called inside of an ``m.If``."""
    past = Signal.like(Value.cast(value), name="before")
    m.d.sync += past.eq(value)
    return past


def variant(module: types.ModuleType, *changes: tuple[str, str]) -> types.ModuleType:
    """A copy of a module whose source has been changed: each (old, new), old exactly once."""
    source = inspect.getsource(module)
    for old, new in changes:
        if source.count(old) != 1:
            raise ValueError(f"{module.__name__} has {old!r} {source.count(old)} times, not once")
        source = source.replace(old, new)
    copy = types.ModuleType(module.__name__)
    exec(compile(source, f"<variant of {module.__name__}>", "exec"), copy.__dict__)
    return copy


def prove(bench: Bench, *names: str, depth: int, induction: bool) -> None:
    """Prove claims of a bench, and that everything that it wants reached is reached.

    Args:
        names: of the claims, without the help of others; all if there are none.
        depth: cycles from the first state that are looked at, and the length of the induction.
        induction: prove the claims for all time; without it, for ``depth`` cycles.

    Raises:
        AssertionError: a claim is not proved, or something is not reached.
    """
    model = _convert(bench, keep=names)
    failed = model.false_within(depth)
    assert not failed, f"false within {depth} cycles: {sorted(failed)}"
    if induction:
        failed = model.not_inductive(depth)
        assert not failed, f"not inductive in {depth} cycles: {sorted(failed)}"
    unreached = model.not_reached(depth)
    assert not unreached, f"not reached within {depth} cycles: {sorted(unreached)}"


def prove_always(bench: Bench, *names: str, depth: int) -> None:
    """Prove claims of a bench for all time: those named, without the help of others, or all.

    Raises:
        AssertionError: a claim is not proved.
    """
    model = _convert(bench, keep=names)
    failed = model.false_within(depth) | model.not_inductive(depth)
    assert not failed, f"not proved by induction over {depth} cycles: {sorted(failed)}"


def prove_by_invariants(bench: Bench, *names: str) -> None:
    """Prove claims of a bench for all time, each asked for alone: quicker where there are many.

    Args:
        names: claims that must follow from the others in the same state. The others must hold at
            first, and in the state after one where they all do.

    Raises:
        AssertionError: a claim is not proved.
    """
    model = _convert(bench)
    failed = model.false_within(1) | model.not_implied(names)
    failed |= model.not_kept(model.claims.difference(names))
    assert not failed, f"not proved: {sorted(failed)}"


def refute(
    bench: Bench, name: str, *, depth: int, induction: bool = False, lemmas: Sequence[str] = ()
) -> None:
    """Show that a claim is not proved, all others but ``lemmas`` left out.

    Args:
        depth: cycles to look at.
        induction: from any state that the claim and the lemmas allow, not from the first one.

    Raises:
        AssertionError: the claim holds.
    """
    model = _convert(bench, keep=[name, *lemmas])
    failed = model.not_inductive(depth) if induction else model.false_within(depth)
    assert failed == {name}, f"{name} holds" if not failed else f"false: {sorted(failed)}"


def _convert(bench: Bench, *, keep: Sequence[str] = ()) -> Model:
    """The bench, of its claims only those in ``keep`` if it has any."""
    if not SOLVER.is_file():
        pytest.skip(skips.YICES)
    m = Module()
    m.domains.sync = domain = ClockDomain(reset_less=True)
    bench(m)
    text = _CHECK.sub(r"cell $check \\\2\1", rtlil.convert(m, ports=[domain.clk]))
    claims = re.findall(r"cell \$check \\claim_(\w+)", text)
    assert claims, "the bench claims nothing"
    wanted = [f"n:*claim_{name}" for name in keep]
    choice = f"delete t:$assert {' '.join(f'{name} %d' for name in wanted)}" if keep else ""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bench.il").write_text(text)
        log = yosys.run(_SCRIPT.format(choice=choice), Path(folder))
        model = Model(Path(folder, "bench.smt2").read_text())
    assert model.claims == set(keep or claims), f"Yosys kept only {model.claims}:\n{log}"
    return model
