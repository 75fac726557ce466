"""The page of all routes shows them in a real browser, under its own content security policy."""

import pytest
from playwright.sync_api import Browser

from tests.support.running_app import RunningApp

pytestmark = pytest.mark.browser


def test_every_route_is_shown_and_found(chromium: Browser, app: RunningApp) -> None:
    page = chromium.new_page()
    errors: list[str] = []
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    try:
        page.goto(f"{app.url}/docs")
        page.wait_for_selector("#routes details")
        page.fill("#search", "post /v1/sessions/{session_id}/turns")
        [found] = [one for one in page.query_selector_all("#routes details[data-words]") if one.is_visible()]
        found.click()
        assert "/v1/sessions/{session_id}/turns" in found.inner_text()
        assert errors == []
    finally:
        page.close()
