"""Sound: the Opus kept in the log, and the formats that listeners ask for."""
