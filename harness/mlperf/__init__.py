"""MLPerf beyond LoadGen: the reference implementation, compliance tests, a submission."""
