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
    assert headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize("file", ["app.js", "listening.css"])
async def test_a_browser_takes_a_file_of_the_page_for_nothing_but_what_it_is(
    app: RunningApp, file: str
) -> None:
    async with client(app) as http:
        page = (await http.get("/")).text
        version = page.partition('="web/')[2].partition("/")[0]
        for path in (f"/web/{file}", f"/web/{version}/{file}"):
            answer = await http.get(path)
            assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff")
