"""Two gateways on one log, and loggers that are restored after each test."""

from tests.support.fixtures.metrics_fixtures import gateways, http
from tests.support.fixtures.tracing_fixtures import as_before

__all__ = ["as_before", "gateways", "http"]
