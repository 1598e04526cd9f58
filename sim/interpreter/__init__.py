"""A program with the hardware's semantics, without time."""
