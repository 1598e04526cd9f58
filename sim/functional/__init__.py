"""The fast reading of the integer graph: the contract's bits on every CPU."""

from sim.functional.model import FunctionalModel

__all__ = ["FunctionalModel"]
