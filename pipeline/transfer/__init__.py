"""Sessions exported, imported, forked and erased."""
