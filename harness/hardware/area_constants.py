"""What Yosys says of each block beyond what is counted, as `make area` fits it."""

CONSTANTS: dict[str, dict[str, tuple[float, ...]]] = {
    "control": {"lut": (2560,), "ff": (6680,)},
    "DMA": {"lut": (1620, 0), "ff": (610, 1)},
    "feature memory": {"lut": (0, 2, 9), "ff": (60, 2, 0)},
    "LOAD": {"lut": (710, 1.4, 1.5), "ff": (520, 1.2, 0)},
    "WEIGHTS": {"lut": (90,), "ff": (75,)},
    "STORE": {"lut": (390, 0.74), "ff": (351, 0.72)},
    "CONV reader, unpacker": {"lut": (900, 170, 0.35), "ff": (550, 65, 0.68)},
    "CONV arrays": {"lut": (0, 0), "ff": (0, 0)},
    "CONV interconnect": {"lut": (0,), "ff": (10,)},
    "CONV accumulation": {"lut": (80, 198), "ff": (110, 64)},
    "POST": {"lut": (860, 743), "ff": (490, 397)},
    "POOL": {"lut": (1643, 44.6, 3.43), "ff": (960, 31, 2)},
}
