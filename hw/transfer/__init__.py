"""LOAD, WEIGHTS and STORE: what moves data between DRAM and the machine's memories."""
