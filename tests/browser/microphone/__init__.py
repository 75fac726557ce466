"""Tests of the page's microphone."""
