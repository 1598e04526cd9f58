"""The clock in a library of standard cells."""
