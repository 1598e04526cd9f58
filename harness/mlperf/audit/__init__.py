"""MLPerf's compliance tests."""
