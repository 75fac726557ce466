"""Tests of loadtests/runner/."""
