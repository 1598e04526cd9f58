"""Pipeline depths and queue lengths that no configuration changes.

The blocks of ``hw/`` are built with these numbers, and the cycle model and the estimates of the
area read them: here, so that nobody needs the HDL for a number. Latencies are in cycles.
"""

from __future__ import annotations

INSTRUCTIONS_UNDER_WAY = 4
"""Instructions of one engine whose effects are not all visible yet, at most."""

WALK_LATENCY = 2
"""From the cycle in which CONV lets a pixel in to that in which its window is asked for."""
WINDOW_LATENCY = 3
"""From a window's request to its words at the entry of the arrays: bank, register, crossbar."""
ENTRY_LATENCY = WALK_LATENCY + WINDOW_LATENCY
"""From the decision that lets a pixel or a row of weights in to the arrays."""
ELEMENT_LATENCY = 3
"""From the activation at a processing element to its sum: operand, product and sum registers."""
ACCUMULATION_LATENCY = 4
"""From the read of an accumulator to the first one that sees what has been added to it."""
OUTSTANDING_WEIGHTS = 4
"""WEIGHTS instructions whose words may be on the way at a time."""
PARAMETER_TILES = 4
"""Tiles whose parameters wait for POST or are in use: a power of two. The weights of a tile come
behind its parameters; were there no more of these than tiles in the accumulation memory, two, they
would come only when a tile has drained."""
FEATURE_READ_LATENCY = 5
"""From a read of the feature memory to its answer at best: request, bank, two registers, queue."""
FEATURE_READS = 8
"""Reads that a client of the feature memory has under way at most: more than that latency."""
POOL_PREPARATION = 6
"""From the start of a walk over windows to its first step: four of a product, difference, begin."""
POST_WORDS_UNDER_WAY = 32
"""Words that POST has in its pipelines and in front of the write port, and words of the other
operand of an addition that it has read ahead, ``lanes`` channels each: more than the pipelines are
long."""

DEPTHWISE_PREPARATION = 2
"""From the start of a DEPTHWISE to its first request and its first step: what the fields say, in
registers, and the counters that begin with it."""
LINE_BUFFER_LATENCY = 4
"""From the address of a block of taps to its words: memories, choice of rows, choice of columns,
choice of words where several pixels share them."""
TAP_SUM_LATENCY = 4
"""Products, sums of three, sum of all, sum of the steps."""
DEPTHWISE_ROWS = 16
"""Rows of the input that the line buffer of the depthwise engine holds; a power of two."""
DEPTHWISE_ROW_BANKS = 4
"""Of neighbouring rows any three are in different ones; a power of two, so that bits tell which."""
DEPTHWISE_COLUMNS = 384
"""Columns of the widest row that it holds."""
DEPTHWISE_KERNEL = 9
"""Rows and columns of the largest window of the depthwise engine; the line buffer has more rows."""

BIAS_BITS, SCALE_BITS = 32, 32
PARAMETER_BYTES = (BIAS_BITS + SCALE_BITS) // 8
"""What requantization needs of an output channel: int32 bias and the bits of a float32 scale."""

NORMALIZE_LATENCY = 2
"""Registers of the shifter that brings a number's highest bit to the front."""
PRODUCT_LATENCY = 4
"""Of two significands: products of their halves, the middle ones added, low and high sum."""
INT_TO_FLOAT_LATENCY = 2 + NORMALIZE_LATENCY + 2
"""Low and high half of the magnitude; then the choice of the bits to keep, and their rounding."""
FLOAT_MULTIPLIER_LATENCY = PRODUCT_LATENCY + 2
FLOAT_ADDER_LATENCY = 5 + 2 + NORMALIZE_LATENCY + 2
"""Comparison, exchange, alignment in two steps and what falls off; two halves of the sum; then as
in a conversion."""
FLOAT_TO_INT_LATENCY = 3
BIAS_LATENCY = 2
"""The halves of the sum of an accumulator and its bias."""
REQUANTIZER_LATENCY = (
    BIAS_LATENCY + INT_TO_FLOAT_LATENCY + FLOAT_MULTIPLIER_LATENCY + FLOAT_TO_INT_LATENCY + 1
)
"""The last stage is the clamp."""
CHOICE_LATENCY = 2
"""From a word that POST lets in to its requantizers: choice of the bank, beside the read of the
parameters; then choice between that accumulator and a product."""
RESIDUAL_LATENCY = 7
"""Differences, products with halves of the multipliers, sums of halves, their sum, shift, rounding,
clamp."""
JOIN_PRODUCT_LATENCY = 2
"""Differences, their product."""
TABLE_BYTES = 256
"""Of a function of an int8 value: its results by the value's byte, read as unsigned."""
TABLE_WORD_BYTES = 8
"""Of a table that is written in one cycle."""
TABLE_LATENCY = 2
"""Word of the table, choice of the byte."""
MEAN_LATENCY = (
    INT_TO_FLOAT_LATENCY + FLOAT_MULTIPLIER_LATENCY + FLOAT_ADDER_LATENCY + FLOAT_TO_INT_LATENCY
)
