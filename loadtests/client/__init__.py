"""The virtual caller: how load tests reach a Rhapsode, what they receive, and whether it was right."""
