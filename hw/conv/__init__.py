"""CONV: loop nest, systolic arrays, interconnect, adders."""
