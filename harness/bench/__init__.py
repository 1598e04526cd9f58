"""The functional model against other int8 engines on the same network."""
