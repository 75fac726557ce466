"""Workers: effects, projections and upkeep on a real server."""
