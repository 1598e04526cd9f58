"""An AXI4 memory for Amaranth's simulator: random delays, readers answered in any order."""

import random

from hw.bus.axi_codes import Response


class AxiMemory:
    """Serves the read channels of ``axi`` as a background process.

    ``words`` maps a word address (byte address / word bytes) to its value; an address in ``bad``
    answers with an error. Every burst is checked against the rules of AXI4.
    """

    def __init__(self, axi, *, data_bytes, words, base=0, seed=0, pace=1.0, bad=()):
        self.axi, self.data_bytes, self.base = axi, data_bytes, base
        self.words, self.bad = words, set(bad)
        self.pace, self.random = pace, random.Random(seed)
        self.bursts = []

    async def serve_reads(self, ctx):
        axi, queues, beat = self.axi, {}, None
        async for *_, rst, arvalid, arready, araddr, arlen, arid, rready in ctx.tick().sample(
            axi.ar.valid,
            axi.ar.ready,
            axi.ar.payload.addr,
            axi.ar.payload.len,
            axi.ar.payload.id,
            axi.r.ready,
        ):
            assert not rst
            if arvalid and arready:
                count = arlen + 1
                assert araddr % self.data_bytes == 0
                assert araddr // 4096 == (araddr + count * self.data_bytes - 1) // 4096
                first = (araddr - self.base) // self.data_bytes
                self.bursts.append((first, count, arid))
                queues.setdefault(arid, []).extend(
                    (arid, first + i, i == count - 1) for i in range(count)
                )
            if beat is not None and rready:
                beat = None
            waiting = [arid for arid, queue in queues.items() if queue]
            if beat is None and waiting and self.random.random() < self.pace:
                beat = queues[self.random.choice(waiting)].pop(0)
            ctx.set(axi.ar.ready, self.random.random() < self.pace)
            ctx.set(axi.r.valid, beat is not None)
            if beat is not None:
                rid, word, last = beat
                ctx.set(axi.r.payload.id, rid)
                ctx.set(axi.r.payload.data, self.words[word])
                ctx.set(axi.r.payload.last, last)
                ctx.set(axi.r.payload.resp, Response.SLVERR if word in self.bad else Response.OKAY)
