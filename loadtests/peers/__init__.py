"""The race: systems that people would pick instead of ours, on the same engines, heard by the same client."""
