"""Tests of loadtests/peers/."""
