"""The Redis server that Rhapsode starts itself."""
