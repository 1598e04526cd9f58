"""The command line, data sets and MLPerf LoadGen around the machine."""
