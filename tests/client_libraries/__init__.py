"""Tests of clients/: our libraries against running servers."""
