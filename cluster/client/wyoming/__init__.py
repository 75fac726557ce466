"""Home Assistant's voice protocol in front of a running Rhapsode."""
