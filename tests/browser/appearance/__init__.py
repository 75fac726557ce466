"""Tests of how the page looks."""
