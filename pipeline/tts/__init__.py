"""From text to spoken sentences in order: sentence buffer, normalization, synthesis."""
