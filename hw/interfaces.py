"""The protocols between the blocks of the machine: one Signature each."""

from __future__ import annotations

import enum

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import DnaConfig
from hw.isa import INSTRUCTION_BYTES


class Activity(enum.IntEnum):
    """What an engine does in a cycle: exactly one of these, so that the counts add up."""

    IDLE = 0
    """It has no instruction."""
    BUSY = 1
    """It makes progress."""
    WAIT_TOKEN = 2
    """Its next instruction waits for another engine."""
    WAIT_DRAM = 3
    """It waits for the external memory."""
    WAIT_WEIGHTS = 4
    """The next weights are not in the array yet."""
    WAIT_ACCUMULATION = 5
    """It waits for the accumulation memory: no free tile, or none that is complete."""
    WAIT_FEATURE = 6
    """It waits for the feature memory."""
    WAIT_OUTPUT = 7
    """The block behind it is not ready."""


class Fault(enum.IntEnum):
    """Why the machine stopped; the number in the CSR ``error_code``."""

    NONE = 0
    BAD_CHECKSUM = 1
    BAD_OPCODE = 2
    BAD_MAGIC = 3
    BAD_VERSION = 4
    BAD_CONFIG = 5
    TRUNCATED = 6
    OUT_OF_WINDOW = 7
    BUS_READ = 8
    BUS_WRITE = 9
    WEIGHT_HEADER = 10
    BANK_CONFLICT = 11
    BAD_SPLIT = 12
    BAD_FIELD = 13
    TOKEN_OVERFLOW = 14
    START_WHILE_BUSY = 15
    WATCHDOG = 16


class FaultSignature(wiring.Signature):
    """A block reports what is wrong; the first report stops the machine.

    Members:
        valid: out, high while the fault stands.
        code: out, :class:`Fault`.
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
        activity: out, :class:`Activity` of this cycle (the sequencer turns IDLE into WAIT_TOKEN).
        fault: out, :class:`FaultSignature`.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "instructions": In(stream.Signature(unsigned(INSTRUCTION_BYTES * 8))),
                "done": Out(1),
                "activity": Out(unsigned(3)),
                "fault": Out(FaultSignature()),
            }
        )


def word_layout(config: DnaConfig) -> data.ArrayLayout:
    """A feature word: ``rows`` channels of one pixel, signed(8) each."""
    return data.ArrayLayout(signed(8), config.rows)


class WindowReadSignature(wiring.Signature):
    """Reads up to G words a cycle from G different banks; from the reader's side.

    Lane i asks for feature word ``addresses[i]``; enabled lanes must satisfy
    ``addresses[i] == addresses[0] + i`` modulo G, so that no two meet in one bank.
    Responses come in order, with back-pressure; lanes that are not enabled return ``fill``.

    Members:
        requests: out, stream of {addresses: unsigned [G], enable: unsigned(G), fill: signed(8),
            tag: unsigned(3)}.
        responses: in, stream of {words: feature word [G], tag: unsigned(3)}.
    """

    def __init__(self, config: DnaConfig) -> None:
        lanes = config.modules
        request = data.StructLayout(
            {
                "addresses": data.ArrayLayout(unsigned(config.feature_address_bits), lanes),
                "enable": unsigned(lanes),
                "fill": signed(8),
                "tag": unsigned(3),
            }
        )
        response = data.StructLayout(
            {"words": data.ArrayLayout(word_layout(config), lanes), "tag": unsigned(3)}
        )
        super().__init__(
            {
                "requests": Out(stream.Signature(request)),
                "responses": In(stream.Signature(response)),
            }
        )


class FeatureWriteSignature(wiring.Signature):
    """Writes up to ``post_words`` consecutive words a cycle; from the writer's side.

    A word is in memory for every reader in the cycle after it was taken.

    Members:
        requests: out, stream of {address: unsigned, enable: unsigned(post_words),
            words: feature word [post_words]}; word i goes to ``address + i``.
    """

    def __init__(self, config: DnaConfig) -> None:
        request = data.StructLayout(
            {
                "address": unsigned(config.feature_address_bits),
                "enable": unsigned(config.post_words),
                "words": data.ArrayLayout(word_layout(config), config.post_words),
            }
        )
        super().__init__({"requests": Out(stream.Signature(request))})


class FeatureReadSignature(wiring.Signature):
    """Reads up to ``post_words`` consecutive words a cycle; from the reader's side.

    Members:
        requests: out, stream of {address: unsigned, enable: unsigned(post_words)}.
        responses: in, stream of feature word [post_words], in order, with back-pressure; words that
            were not enabled are undefined.
    """

    def __init__(self, config: DnaConfig) -> None:
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
            }
        )


class DramReadSignature(wiring.Signature):
    """Reads runs of DRAM words; from the reader's side.

    Members:
        requests: out, stream of {offset: unsigned(32), byte offset in the memory window, aligned to
            a DRAM word; length: unsigned(32), DRAM words, at least 1}.
        words: in, stream of unsigned(8 x dram_bytes_per_cycle), the words of all requests in order.
    """

    def __init__(self, config: DnaConfig) -> None:
        request = data.StructLayout({"offset": unsigned(32), "length": unsigned(32)})
        super().__init__(
            {
                "requests": Out(stream.Signature(request)),
                "words": In(stream.Signature(unsigned(8 * config.dram_bytes_per_cycle))),
            }
        )


class DramWriteSignature(wiring.Signature):
    """Writes runs of DRAM words; from the writer's side.

    Members:
        requests: out, as in :class:`DramReadSignature`.
        words: out, stream of unsigned(8 x dram_bytes_per_cycle).
        done: in, one cycle high for each request whose last word the memory has acknowledged.
    """

    def __init__(self, config: DnaConfig) -> None:
        request = data.StructLayout({"offset": unsigned(32), "length": unsigned(32)})
        super().__init__(
            {
                "requests": Out(stream.Signature(request)),
                "words": Out(stream.Signature(unsigned(8 * config.dram_bytes_per_cycle))),
                "done": In(1),
            }
        )
