"""The driver in C, for a host without Python: its sources, and headers derived for it."""
