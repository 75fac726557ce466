"""Results, tables, charts and pages: what a measurement prints and keeps."""
