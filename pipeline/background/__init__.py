"""Effects, projections, retention and maintenance, run by the workers."""
