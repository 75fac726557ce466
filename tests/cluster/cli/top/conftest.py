"""Two gateways on one log."""

from tests.support.fixtures.metrics_fixtures import gateways

__all__ = ["gateways"]
