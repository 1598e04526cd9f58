"""Quantizing a network, and what it cost."""
