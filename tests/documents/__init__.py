"""Collections and documents over HTTP."""
