"""Where facts go when they are no longer hot: immutable, verified files in any storage that fsspec knows."""
