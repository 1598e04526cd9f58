"""RTL simulation engines behind one interface."""
