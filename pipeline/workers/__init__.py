"""What happens beside the conversations: effects, projections, and keeping the log tidy. Knows no Ray."""
