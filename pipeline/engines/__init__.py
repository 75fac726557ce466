"""The models behind their Protocols: one adapter per file, heavy imports inside the factories."""
