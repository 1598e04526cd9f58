"""The protocols between the blocks of the machine: one Signature each."""

from __future__ import annotations

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.config import DnaConfig
from hw.isa import INSTRUCTION_BYTES
from hw.status import ACTIVITY_BITS


class FaultSignature(wiring.Signature):
    """A block reports what is wrong; the first report stops the machine.

    Members:
        valid: out, high while the fault stands.
        code: out, :class:`hw.status.Fault`.
        address: out, unsigned(32): DRAM byte offset or feature word, by code.
    """

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "code": Out(unsigned(8)), "address": Out(unsigned(32))})


class EngineSignature(wiring.Signature):
    """How the sequencer drives an engine; from the engine's side.

    Members:
        instructions: in, stream of unsigned(512), a whole instruction as ``instruction_layout``
            reads it. The payload stays until it is taken. An engine takes an instruction when it is
            done with it or when it has copied what it needs.
        done: out, one cycle high for each instruction whose effects are all visible, in order.
        activity: out, :class:`hw.status.Activity` of this cycle; the sequencer turns IDLE into
            WAIT_TOKEN.
        fault: out, :class:`FaultSignature`.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "instructions": In(stream.Signature(unsigned(INSTRUCTION_BYTES * 8))),
                "done": Out(1),
                "activity": Out(unsigned(ACTIVITY_BITS)),
                "fault": Out(FaultSignature()),
            }
        )


def word_layout(config: DnaConfig) -> data.ArrayLayout:
    """A feature word: ``rows`` channels of one pixel, signed(8) each."""
    return data.ArrayLayout(signed(8), config.rows)


def split_shape(config: DnaConfig) -> range:
    """Shape of log2 k."""
    return range(int(exact_log2(config.modules)) + 1)


class WindowReadSignature(wiring.Signature):
    """Reads up to G words a cycle from G different banks; from the reader's side.

    Module m asks for feature word ``addresses[m]`` and gets it, or ``fill`` if it is not enabled.
    Those that are may ask for the same word, but not for two words of one bank.

    Nobody waits: a request is taken when it is there, and its words are there ``WINDOW_LATENCY``
    cycles later, for one cycle.

    Members:
        requests: out, stream, always ready, of {addresses: unsigned [G], enable: unsigned(G),
            fill: signed(8)}.
        words: in, feature word [G], by module.
    """

    def __init__(self, config: DnaConfig) -> None:
        modules = config.modules
        request = data.StructLayout(
            {
                "addresses": data.ArrayLayout(unsigned(config.feature_address_bits), modules),
                "enable": unsigned(modules),
                "fill": signed(8),
            }
        )
        super().__init__(
            {
                "requests": Out(stream.Signature(request, always_ready=True)),
                "words": In(data.ArrayLayout(word_layout(config), modules)),
            }
        )


def _offsets(config: DnaConfig, scattered: bool) -> dict[str, wiring.Member]:
    """Where the words of a request are, if they do not follow each other."""
    address = unsigned(config.feature_address_bits)
    return {"offsets": Out(data.ArrayLayout(address, config.post_words))} if scattered else {}


class FeatureWriteSignature(wiring.Signature):
    """Writes up to ``post_words`` words a cycle, consecutive ones or ``scattered``.

    From the writer's side.

    Words that were taken are in memory for every reader when ``pending`` is low. It is high from
    the cycle after one in which some were taken.

    Members:
        requests: out, stream of {address: unsigned, enable: unsigned(post_words),
            words: feature word [post_words]}; word i goes to ``address + i``.
        pending: in, some are not in memory yet.
        offsets: out, if ``scattered``, unsigned [post_words]: word i goes to ``address`` +
            ``offsets[i]`` instead. The enabled ones are in different banks. Constant while there
            are requests or some are pending.
    """

    def __init__(self, config: DnaConfig, *, scattered: bool = False) -> None:
        request = data.StructLayout(
            {
                "address": unsigned(config.feature_address_bits),
                "enable": unsigned(config.post_words),
                "words": data.ArrayLayout(word_layout(config), config.post_words),
            }
        )
        super().__init__(
            {
                "requests": Out(stream.Signature(request)),
                "pending": In(1),
                **_offsets(config, scattered),
            }
        )


class FeatureReadSignature(wiring.Signature):
    """Reads up to ``post_words`` words a cycle, consecutive ones or ``scattered``.

    From the reader's side.

    Members:
        requests: out, stream of {address: unsigned, enable: unsigned(post_words)}.
        responses: in, stream of feature word [post_words], in order, with back-pressure; words that
            were not enabled are undefined.
        offsets: out, if ``scattered``, as in :class:`FeatureWriteSignature`; constant until the
            last answer is there.
    """

    def __init__(self, config: DnaConfig, *, scattered: bool = False) -> None:
        request = data.StructLayout(
            {
                "address": unsigned(config.feature_address_bits),
                "enable": unsigned(config.post_words),
            }
        )
        super().__init__(
            {
                "requests": Out(stream.Signature(request)),
                "responses": In(
                    stream.Signature(data.ArrayLayout(word_layout(config), config.post_words))
                ),
                **_offsets(config, scattered),
            }
        )


DRAM_REQUEST_LAYOUT = data.StructLayout({"offset": unsigned(32), "length": unsigned(32)})
"""A run of DRAM words: byte offset in the memory window, aligned to a DRAM word, and how many, at
least 1."""


class DramReadSignature(wiring.Signature):
    """Reads runs of DRAM words; from the reader's side.

    Members:
        requests: out, stream of ``DRAM_REQUEST_LAYOUT``.
        words: in, stream of unsigned(8 x dram_bytes_per_cycle), the words of all requests in order.
    """

    def __init__(self, config: DnaConfig) -> None:
        super().__init__(
            {
                "requests": Out(stream.Signature(DRAM_REQUEST_LAYOUT)),
                "words": In(stream.Signature(unsigned(8 * config.dram_bytes_per_cycle))),
            }
        )


class DramWriteSignature(wiring.Signature):
    """Writes runs of DRAM words; from the writer's side.

    Members:
        requests: out, stream of ``DRAM_REQUEST_LAYOUT``.
        words: out, stream of unsigned(8 x dram_bytes_per_cycle).
        done: in, one cycle high for each request whose last word the memory has acknowledged.
    """

    def __init__(self, config: DnaConfig) -> None:
        super().__init__(
            {
                "requests": Out(stream.Signature(DRAM_REQUEST_LAYOUT)),
                "words": Out(stream.Signature(unsigned(8 * config.dram_bytes_per_cycle))),
                "done": In(1),
            }
        )
