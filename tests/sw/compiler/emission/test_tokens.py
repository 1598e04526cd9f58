import itertools

import numpy as np
import pytest

from hw.isa import TOKEN_LIMIT, Engine, Instruction, Opcode
from hw.isa.accesses import Accesses, Memory, Rows
from sw.compiler.emission.steps import Step
from sw.compiler.emission.tokens import assign

PRODUCERS = (Opcode.LOAD, Opcode.CONV, Opcode.POST, Opcode.MAX_POOL, Opcode.STORE)


def span(start, stop=None, memory=Memory.FEATURE):
    return Rows(memory, start, 1 if stop is None else stop - start)


def step(opcode, reads=(), writes=()):
    return Step(Instruction(opcode, {}), Accesses(reads, writes))


def end():
    return step(Opcode.END)


def masks(tokens):
    return [(token.wait, token.signal) for token in tokens]


def bits(*engines):
    return sum(1 << engine for engine in engines)


def test_a_read_waits_for_the_write():
    steps = [
        step(Opcode.LOAD, writes=(span(0, 8),)),
        step(Opcode.MAX_POOL, reads=(span(7, 9),), writes=(span(20),)),
        step(Opcode.STORE, reads=(span(20),), writes=(span(0, 8, Memory.DRAM),)),
        end(),
    ]
    assert masks(assign(steps)) == [
        (0, bits(Engine.POOL)),
        (bits(Engine.LOAD), bits(Engine.STORE)),
        (bits(Engine.POOL), bits(Engine.CONTROL)),
        (bits(Engine.STORE), 0),
    ]


def test_neighbours_do_not_wait():
    steps = [
        step(Opcode.LOAD, writes=(span(0, 8),)),
        step(Opcode.MAX_POOL, reads=(span(8, 9),), writes=(span(20),)),
        end(),
    ]
    tokens = assign(steps)
    assert tokens[1].wait == 0
    assert tokens[2].wait == bits(Engine.LOAD, Engine.POOL)


def test_what_another_wait_covers_is_not_waited_for():
    steps = [
        step(Opcode.LOAD, writes=(span(0),)),
        step(Opcode.MAX_POOL, reads=(span(0),), writes=(span(1),)),
        step(Opcode.STORE, reads=(span(1), span(0)), writes=(span(0, 8, Memory.DRAM),)),
        end(),
    ]
    assert assign(steps)[2].wait == bits(Engine.POOL)


def test_a_tile_tells_that_its_convolution_has_started():
    """POST needs no token for what its CONV waited for, but the residual is read before a tile."""

    def program(residual):
        return [
            step(Opcode.LOAD, writes=(span(0),)),
            step(Opcode.CONV, reads=(span(0),)),
            step(Opcode.POST, reads=(residual,), writes=(span(5),)),
            end(),
        ]

    assert assign(program(span(9)))[2].wait == 0
    assert assign(program(span(0)))[2].wait == bits(Engine.LOAD)


def test_a_residual_that_post_has_just_written_waits_for_itself():
    steps = [
        step(Opcode.CONV, reads=(span(0),)),
        step(Opcode.POST, writes=(span(5),)),
        step(Opcode.CONV, reads=(span(0),)),
        step(Opcode.POST, reads=(span(5),), writes=(span(5),)),
        end(),
    ]
    tokens = assign(steps)
    assert tokens[1].signal == tokens[3].wait == bits(Engine.POST)


def test_dram_orders_a_load_behind_a_store():
    steps = [
        step(Opcode.STORE, reads=(span(0),), writes=(span(64, 128, Memory.DRAM),)),
        step(Opcode.LOAD, reads=(span(100, 164, Memory.DRAM),), writes=(span(3),)),
        end(),
    ]
    assert assign(steps)[1].wait == bits(Engine.STORE)


def test_no_counter_can_overflow():
    """LOAD could run ahead of POOL by any number of tokens; brakes are put in."""
    steps = []
    for number in range(60):
        steps.append(step(Opcode.LOAD, writes=(span(number),)))
        if number >= 4:
            steps.append(
                step(Opcode.MAX_POOL, reads=(span(number - 4),), writes=(span(99 + number),))
            )
    steps.append(end())
    tokens = assign(steps)
    assert any(t.wait >> Engine.POOL & 1 for t in tokens[:-1])
    replay(steps, tokens, np.random.default_rng(0), prefer=Engine.LOAD)


def replay(steps, tokens, rng, prefer=None):
    """Run steps in a random order that tokens allow; return that order."""
    queues = {engine: [] for engine in Engine}
    for number, step in enumerate(steps):
        queues[step.engine].append(number)
    counters = dict.fromkeys(itertools.product(Engine, Engine), 0)
    done, order = set(), []
    while any(queues.values()):
        ready = []
        for engine, queue in queues.items():
            if not queue:
                continue
            waits = [p for p in Engine if tokens[queue[0]].wait >> p & 1]
            after_conv = steps[queue[0]].opcode is not Opcode.POST or sum(
                steps[n].opcode is Opcode.CONV for n in done
            ) > sum(steps[n].opcode is Opcode.POST for n in done)
            if after_conv and all(counters[p, engine] for p in waits):
                ready.append(engine)
        assert ready, "deadlock"
        engine = prefer if prefer in ready else ready[int(rng.integers(len(ready)))]
        number = queues[engine].pop(0)
        for producer in Engine:
            counters[producer, engine] -= tokens[number].wait >> producer & 1
        for consumer in Engine:
            counters[engine, consumer] += tokens[number].signal >> consumer & 1
            assert counters[engine, consumer] <= TOKEN_LIMIT
        done.add(number)
        order.append(number)
    assert not any(counters.values())
    return order


def touched(step):
    return step.accesses.reads + step.accesses.writes


def conflicts(steps):
    """Pairs of steps whose order matters."""
    pairs = []
    for (a, first), (b, second) in itertools.combinations(enumerate(steps), 2):
        touch = [
            (x, y)
            for x, y in itertools.product(touched(first), touched(second))
            if x.memory == y.memory
            and x.start < y.stop
            and y.start < x.stop
            and (x in first.accesses.writes or y in second.accesses.writes)
        ]
        if touch and first.engine is not second.engine:
            pairs.append((a, b))
    return pairs


@pytest.mark.parametrize("seed", range(25))
def test_any_order_that_tokens_allow_keeps_conflicts_in_order(seed):
    rng = np.random.default_rng(seed)

    def spans(count):
        starts = rng.integers(0, 30, count)
        return tuple(span(int(s), int(s + rng.integers(1, 8))) for s in starts)

    steps = []
    for _ in range(40):
        opcode = PRODUCERS[int(rng.integers(len(PRODUCERS)))]
        if opcode in (Opcode.CONV, Opcode.POST):  # always a pair, CONV only reads
            steps.append(step(Opcode.CONV, reads=spans(1)))
            steps.append(step(Opcode.POST, reads=spans(1), writes=spans(1)))
        elif opcode is Opcode.STORE:
            steps.append(step(opcode, reads=spans(1), writes=(span(0, 9, Memory.DRAM),)))
        else:
            steps.append(step(opcode, reads=spans(1), writes=spans(1)))
    steps.append(end())
    tokens = assign(steps)
    for _ in range(6):
        order = replay(steps, tokens, rng)
        position = {number: place for place, number in enumerate(order)}
        for first, second in conflicts(steps):
            assert position[first] < position[second]
        assert order[-1] == len(steps) - 1


def test_more_givers_than_a_counter_holds_before_the_first_taker():
    count = 3 * TOKEN_LIMIT
    steps = [step(Opcode.STORE, writes=(span(i, memory=Memory.DRAM),)) for i in range(count)] + [
        step(Opcode.LOAD, reads=(span(i, memory=Memory.DRAM),)) for i in range(count)
    ]
    tokens = assign([*steps, end()])
    given = sum(token.signal >> Engine.LOAD & 1 for token in tokens[:count])
    taken = [token.wait >> Engine.STORE & 1 for token in tokens[count : 2 * count]]
    assert given == sum(taken) <= TOKEN_LIMIT
    assert taken[0] == 1  # for a store far ahead, which covers those before it
    last = max(i for i in range(count) if tokens[i].signal >> Engine.LOAD & 1)
    assert last == count - 1
