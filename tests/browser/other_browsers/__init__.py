"""Tests of the page in Firefox and in WebKit."""
