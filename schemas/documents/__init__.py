"""Documents generated from the schemas: the AsyncAPI document and the tables of supported parameters."""
