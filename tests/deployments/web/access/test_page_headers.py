"""Headers of the page keep away frames of other sites, foreign scripts, and addresses told to others."""

import pytest

from tests.support.clients.access_people import client
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio


async def test_the_page_runs_nothing_foreign_and_is_shown_in_no_frame(app: RunningApp) -> None:
    async with client(app) as http:
        headers = (await http.get("/")).headers
    policy = headers["content-security-policy"].split("; ")
    assert {"default-src 'self'", "frame-ancestors 'none'", "object-src 'none'"} <= set(policy)
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "strict-origin"
