"""The file: what it holds, as plain tensors and operators, and how one is written."""
