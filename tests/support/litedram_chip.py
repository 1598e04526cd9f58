"""The controller's clock and its chip, for those who do without LiteDRAM's packages."""

CLOCK_HZ = 200_000_000
DATA_BITS, ROWS, BUFFERS = 8, 2048, 64
