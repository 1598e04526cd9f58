"""Where things are on the SoC's bus."""

from hw.bus import registers

REGISTERS = 0x3000_0000
"""Of the machine."""
REGISTER_BYTES = 1 << registers.ADDRESS_BITS
MEMORY = 0x4000_0000
"""The SDRAM."""
