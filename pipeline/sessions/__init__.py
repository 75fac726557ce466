"""Session commands, owners, leases, takeover and drain."""
