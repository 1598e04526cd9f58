"""Where things are on the SoC's bus."""

REGISTERS = 0x3000_0000
"""Of the machine."""
REGISTER_BYTES = 1 << 10
MEMORY = 0x4000_0000
"""The SDRAM."""
