"""Consumer groups, checkpoints and lists of the workers on Redis."""
