"""Runs a compiled program and compares every value of every layer: in RTL, or by its meaning."""
