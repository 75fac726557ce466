"""Routes for operators: workers, dead letters, projections, metrics and gateways."""
