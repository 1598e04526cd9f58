"""What operators read and write: operands, the order of axes, UINT8, wide weights."""
