"""The Realtime API over the whole application, in process and with real clients."""
