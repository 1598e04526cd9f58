import random

import pytest
from amaranth.sim import Simulator

from hw import isa
from hw.config import PRESETS
from hw.control.sequencer import WORKERS, Sequencer
from hw.isa import Engine, Instruction, Opcode
from hw.status import Activity, Fault

NANO = PRESETS["nano"]
OF = {
    Engine.LOAD: Opcode.LOAD,
    Engine.WEIGHTS: Opcode.WEIGHTS,
    Engine.CONV: Opcode.CONV,
    Engine.POST: Opcode.POST,
    Engine.POOL: Opcode.MEAN,
    Engine.STORE: Opcode.STORE,
    Engine.DEPTHWISE: Opcode.DEPTHWISE,
}


def mask(*engines):
    return sum(1 << engine for engine in engines)


def instruction(engine, layer=0, wait=(), signal=()):
    return Instruction(OF[engine], {"layer": layer, "wait": mask(*wait), "signal": mask(*signal)})


def assemble(body, end_wait=()):
    header = {
        "magic": isa.MAGIC,
        "isa_version": isa.ISA_VERSION,
        "config": int(NANO.digest, 16),
        "length": len(body) + 2,
    }
    end = Instruction(Opcode.END, {"wait": mask(*end_wait)})
    return isa.program_bytes([Instruction(Opcode.HEADER, header), *body, end])


def run(code, *, seed=0, work=lambda rng: rng.randrange(1, 20), cycles=4000, holds=False):
    """Run a program on engines that take ``work`` cycles; what started and ended, in order.

    Engines take an instruction when they start, or, with ``holds``, when they are done with it.
    """
    dut = Sequencer(NANO)
    rng = random.Random(seed)
    log, state = [], {"fault": None, "finished": False}
    busy = dict.fromkeys(WORKERS)

    async def bench(ctx):
        queue = []
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for _ in range(cycles):
            ctx.set(dut.fetch.requests.ready, 1)
            ctx.set(dut.fetch.words.valid, bool(queue))
            if queue:
                ctx.set(dut.fetch.words.payload, queue[0])
            for position, engine in enumerate(WORKERS):
                port, job = dut.engines[position], busy[engine]
                done = job is not None and job[1] == 0
                ctx.set(port.instructions.ready, done if holds else job is None)
                ctx.set(port.done, done)
                ctx.set(port.activity, Activity.IDLE if job is None else Activity.BUSY)
            signals = [dut.fetch.requests.valid, dut.fetch.requests.payload, dut.fetch.words.ready]
            signals += [dut.fault.valid, dut.fault.code, dut.fault.address, dut.finished]
            for position in range(len(WORKERS)):
                port = dut.engines[position]
                signals += [port.instructions.valid, port.instructions.payload]
            (
                _,
                _,
                ask,
                request,
                take,
                fault,
                fault_code,
                address,
                finished,
                *offers,
            ) = await ctx.tick().sample(*signals)
            if ask:
                queue += [
                    int.from_bytes(code[request.offset + 8 * i :][:8], "little")
                    for i in range(request.length)
                ]
            elif queue and take:
                queue.pop(0)
            for position, engine in enumerate(WORKERS):
                valid, bits = offers[2 * position : 2 * position + 2]
                if busy[engine] is not None:
                    layer, left = busy[engine]
                    if left == 0:
                        log.append(("end", engine, layer))
                    busy[engine] = (layer, left - 1) if left else None
                elif valid:
                    layer = isa.decode(bits.to_bytes(64, "little"))["layer"]
                    log.append(("start", engine, layer))
                    busy[engine] = (layer, work(rng))
            if fault:
                state["fault"] = (Fault(fault_code), address)
                return
            if finished:
                state["finished"] = True
                await ctx.tick()
                state["busy"] = ctx.get(dut.busy)
                return

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return log, state


@pytest.mark.parametrize("holds", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_tokens_order_engines_and_nothing_else_does(seed, holds):
    """A random program: every instruction waits for some earlier ones of other engines."""
    rng = random.Random(seed)
    body, needs, unclaimed = [], {}, []
    for number in range(1, 40):
        engine = rng.choice(WORKERS)
        waits = []
        for producer in {other for other, _ in unclaimed} - {engine}:
            pairs = [pair for pair in unclaimed if pair[0] is producer]
            if rng.random() < 0.6:
                waits.append(pairs[0])
                unclaimed.remove(pairs[0])
        needs[number] = [layer for _, layer in waits]
        body.append([engine, number, [producer for producer, _ in waits], []])
        for _, layer in waits:
            body[layer - 1][3].append(engine)
        # At most one token of a pair is left open at a time, so claims are in order.
        if rng.random() < 0.7 and not any(other is engine for other, _ in unclaimed):
            unclaimed.append((engine, number))
    code = assemble([instruction(e, n, w, s) for e, n, w, s in body])
    log, state = run(code, seed=seed, holds=holds)
    started = {layer: i for i, (what, _, layer) in enumerate(log) if what == "start"}
    ended = {layer: i for i, (what, _, layer) in enumerate(log) if what == "end"}
    assert state["fault"] is None
    assert sum(map(len, needs.values())) > 5
    for number, waits in needs.items():
        if number in started:
            assert all(ended[layer] < started[number] for layer in waits)
    for engine in WORKERS:
        order = [layer for what, who, layer in log if what == "start" and who is engine]
        assert order == sorted(order)


@pytest.mark.parametrize("holds", [False, True])
def test_end_waits_for_its_tokens(holds):
    code = assemble(
        [instruction(Engine.STORE, 1, signal=[Engine.CONTROL])], end_wait=[Engine.STORE]
    )
    log, state = run(code, work=lambda rng: 300, holds=holds)
    assert log == [("start", Engine.STORE, 1), ("end", Engine.STORE, 1)]
    assert state["finished"]
    assert not state["busy"]


def test_an_instruction_whose_token_never_comes_never_starts():
    log, state = run(assemble([instruction(Engine.POST, 1, wait=[Engine.LOAD])], [Engine.POST]))
    assert (log, state["finished"]) == ([], False)


def test_a_blocked_engine_does_not_block_the_others():
    code = assemble(
        [
            instruction(Engine.POST, 1, wait=[Engine.CONV], signal=[Engine.CONTROL]),
            instruction(Engine.LOAD, 2),
            instruction(Engine.CONV, 3, signal=[Engine.POST]),
        ],
        end_wait=[Engine.POST],
    )
    log, _ = run(code)
    assert [layer for what, _, layer in log if what == "start"] in ([2, 3, 1], [3, 2, 1])


def test_too_many_tokens_are_a_fault():
    code = assemble(
        [instruction(Engine.LOAD, n, signal=[Engine.POST]) for n in range(16)],
        end_wait=[Engine.STORE],
    )
    _, state = run(code)
    assert state["fault"] == (Fault.TOKEN_OVERFLOW, 16 * Engine.LOAD + Engine.POST)
