"""``arrayse benchmark``: ratios of times within one process, as a table; no promise in milliseconds."""
