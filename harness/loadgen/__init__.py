"""MLPerf's LoadGen over our functional model: sample library, system under test, settings, logs."""
