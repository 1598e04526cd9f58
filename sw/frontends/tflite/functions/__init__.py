"""Functions of a value, as LiteRT computes them: it is asked for all 256 results."""
