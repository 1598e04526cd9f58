"""The Dynamic Neural Accelerator in Amaranth HDL: one file per block."""
