"""LUTs and flip-flops for the sizes of blocks, those of :func:`harness.hardware.area.parts_of`.

Flip-flops are fitted to the registers of the RTL of four machines. LUTs are those that Yosys found
before the machine worked from registers; `make area` asks it anew and fits both.
"""

CONSTANTS: dict[str, dict[str, tuple[float, ...]]] = {
    "control": {"lut": (2560,), "ff": (8050.0,)},
    "DMA": {"lut": (1620, 0, 0), "ff": (1610.0, 2.75, 822.0)},
    "feature memory": {"lut": (0, 2, 9), "ff": (472.0, 7.18, 0.0)},
    "LOAD": {"lut": (710, 1.4, 1.5), "ff": (1170.0, 0.0, 0.878)},
    "WEIGHTS": {"lut": (90,), "ff": (95.6,)},
    "STORE": {"lut": (390, 0.74), "ff": (415.0, 0.417)},
    "CONV reader, unpacker": {"lut": (900, 170, 0.35), "ff": (921.0, 72.1, 6.68)},
    "CONV arrays": {"lut": (0, 0), "ff": (0.0, 0.0)},
    "CONV interconnect": {"lut": (0,), "ff": (5.45,)},
    "CONV accumulation": {"lut": (60, 137), "ff": (50.4, 151.0)},
    "POST": {"lut": (860, 743), "ff": (732.0, 1170.0)},
    "DEPTHWISE": {"lut": (1000, 900), "ff": (965.0, 1372.0)},
    "POOL": {"lut": (1643, 44.6, 3.43), "ff": (2090.0, 50.1, 0.0)},
}
