"""Collections of documents: what their sessions say, and what may be asked of them."""
