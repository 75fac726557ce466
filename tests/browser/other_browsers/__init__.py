"""Tests of the page in WebKit."""
