"""The ways to a board: its serial port, or the simulation of it, and the protocol on both."""
