"""The log's contract holds on a cluster as it does on one server."""

import pytest

from tests.contracts.event_log import EventLogContract

pytestmark = pytest.mark.redis


class TestCluster(EventLogContract):
    """`log` is the folder's."""
