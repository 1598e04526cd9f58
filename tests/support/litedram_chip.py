"""The controller's clock and its chip, for those who do without LiteDRAM's packages."""

CLOCK_HZ = 200_000_000
ROWS, BUFFERS = 2048, 64
BEATS = 8
"""Of a burst, all in one clock of the controller: a port has as many bytes as the chip has bits."""
COLUMNS = 1024
