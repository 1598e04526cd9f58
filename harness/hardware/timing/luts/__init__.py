"""Levels of 6-input LUTs."""
