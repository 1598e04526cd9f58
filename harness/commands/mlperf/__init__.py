"""Commands of MLPerf: tests, their compliance, the reference implementation, submissions."""
