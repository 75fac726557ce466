"""A log with an archive keeps the contract of every log."""

import pytest

from pipeline.eventlog.archive.tiered_log import TieredLog
from tests.archive.support import Tiers
from tests.contracts.event_log import EventLogContract


class TestTiered(EventLogContract):
    @pytest.fixture
    def log(self, tiers: Tiers) -> TieredLog:
        return tiers.log
