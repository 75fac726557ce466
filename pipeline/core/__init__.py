"""Clock, task scope and other small parts that know nothing of sessions, models or storage."""
