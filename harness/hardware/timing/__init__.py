"""How fast a machine can be clocked, and what proves it."""
