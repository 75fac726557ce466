"""Tests of loadtests/capacity/."""
