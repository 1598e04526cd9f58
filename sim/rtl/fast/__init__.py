"""A compiler pass between Yosys and g++, so that little of the simulator runs in a cycle.

It reads text that Yosys writes, RTLIL and the C++ of CXXRTL, and writes C++. What it does:

- :mod:`lane_kinds` finds modules of which there are many and leaves them out of the flat design,
  :mod:`lane_delays` chains of registers; :mod:`lane_wires` says what drives which bits of such a
  module and :mod:`lane_code` writes it as the body of a loop, :mod:`lane_groups` and
  :mod:`lane_feed` what goes into the loops and comes out of them.
- :mod:`split_eval` cuts the function of a cycle into parts that run only if something that they
  read has changed: :mod:`eval_statements` says what each statement reads and writes,
  :mod:`eval_clusters` which are executed together, :mod:`eval_order` in which order, and
  :mod:`part_code` writes them.

What it assumes of Yosys, and where that is looked at. Whatever does not hold is an error of one
line that names Yosys' version (:func:`sim.yosys.unexpected`), never a wrong simulator; except where
it says that the design stays as Yosys wrote it.

RTLIL (:mod:`netlist`):

- Lines begin with ``attribute``, ``wire``, ``cell``, ``parameter``, ``connect`` or ``end``;
  signals are wires of the module, slices of them, constants, and concatenations of these.
- A module of internal cells that :mod:`lane_code` has no translation for, that computes with more
  than 64 bits or whose outputs are no registers stays in the flat design.
- A constant that is written as a number has 32 bits.
- Instances have the clock of the design, and drive whole wires.

C++ (:mod:`cxxrtl_forms`, :mod:`eval_statements`):

- All state is members ``wire<N>``, ``value<N>`` and ``memory<N>`` of ``struct p_top``, in lines of
  their own, and named ``p_...``, ``i_...`` or ``memory_p_...``.
- ``p_top::eval`` is statements with a comment before each. They name nothing but state, local
  values, ``tmp_N``, one edge of one clock, and functions that are known to change nothing. They
  change what stands left of `` = ``, one assignment a line, and memories by ``update()``.
- ``.next`` of a register is written by one statement and read by none, and so is a memory; such a
  statement changes nothing else. What a memory's ports write, the one of higher priority prevails.
- The order of the statements is free but for what they read: no loops. A design that needs more
  than one evaluation for a cycle, or has other edges, stays as Yosys wrote it.
"""
