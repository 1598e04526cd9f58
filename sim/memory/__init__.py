"""The memory outside the machine: how it behaves in time, for RTL simulation and cycle model."""
