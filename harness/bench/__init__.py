"""The functional model against its int8 peers on the same network."""
