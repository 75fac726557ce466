"""`make chaos`: kill things while people listen, then compare what they heard with what is in the log."""
