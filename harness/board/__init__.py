"""The machine on a board that one can buy: the system on chip around it, bitstream and driver."""
