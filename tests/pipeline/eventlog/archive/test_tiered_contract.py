"""A log with an archive keeps the contract of every log."""

import pytest

from pipeline.eventlog.tiered_log import TieredLog
from tests.contracts.event_log import EventLogContract
from tests.support.eventlog.archives import Tiers


class TestTiered(EventLogContract):
    @pytest.fixture
    def log(self, tiers: Tiers) -> TieredLog:
        return tiers.log
