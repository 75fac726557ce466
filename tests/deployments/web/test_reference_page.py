"""/docs and /redoc are a page of ours: no internet is needed, and no script of others runs in it."""

import re

import httpx
import pytest

from deployments.asgi_app import WEB
from tests.support.fixtures.gateway_fixtures import RunningApp

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_the_reference_loads_only_what_this_server_has(app: RunningApp, path: str) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=30) as http:
        page = await http.get(path)
        assert page.status_code == 200
        policy = page.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        needed = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(needed) == 3  # its style is in it
        assert not re.search(r"<script>|style=|\son\w+=", page.text)  # all of it would be against the policy
        for each in needed:
            assert ":" not in each
            assert (await http.get(f"/{each}")).status_code == 200
        assert (await http.get("/docs/oauth2-redirect")).status_code == 404


def test_no_script_of_it_asks_another_server() -> None:
    for file in (WEB / "reference").iterdir():
        assert "//" not in re.sub(r"^// .*$", "", file.read_text("utf-8"), flags=re.MULTILINE), file.name
