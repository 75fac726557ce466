"""A server and a log of the test's own."""

from tests.log.conftest import home, log

__all__ = ["home", "log"]
