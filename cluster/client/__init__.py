"""A client of a running Rhapsode: requests, events, sound, documents and sessions as files."""
