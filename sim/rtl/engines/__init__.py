"""One file for each way to simulate the RTL; :mod:`sim.rtl.registry` finds them by their names."""
