"""Request bodies that are forms or files, received within their limits."""
