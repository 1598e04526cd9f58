"""Systems under test, their sample library, and the run of a test."""
