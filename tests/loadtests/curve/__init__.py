"""Tests of loadtests/curve/."""
