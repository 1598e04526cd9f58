"""Operators in terms of operations that there are."""
