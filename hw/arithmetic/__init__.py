"""Arithmetic in hardware: IEEE single precision, bit by bit."""
