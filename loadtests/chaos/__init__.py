"""`make chaos`: kill things while callers listen, then compare what they heard with what is in the log."""
