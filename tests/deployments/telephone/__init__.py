"""Tests of calls by telephone."""
