"""One trace collector and one running application that exports to it."""

from tests.support.fixtures.tracing_fixtures import app, as_before, collecting, http, quickly

__all__ = ["app", "as_before", "collecting", "http", "quickly"]
