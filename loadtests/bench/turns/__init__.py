"""Detection of the end of a turn in hesitant speech: false cut-offs against dead air."""
