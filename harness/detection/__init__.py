"""A detector's boxes from its maps: what stands behind the machine where no file brings it."""
