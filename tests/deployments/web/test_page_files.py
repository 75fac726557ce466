"""The page's files: loaded beside each other, kept by browsers, and never mixed between releases."""

import re
from pathlib import Path

import pytest

from deployments.web.page_files import PageFiles, modules_of
from tests.support.clients.access_people import client
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
_REFERS = re.compile(r'(?:src|href)="(web/[^"]+)"')


async def test_a_browser_keeps_the_scripts_and_asks_again_for_the_page(app: RunningApp) -> None:
    async with client(app) as http:
        page = await http.get("/")
        assert page.headers["cache-control"] == "no-cache"
        assert page.headers["content-encoding"] == "gzip"
        referred = _REFERS.findall(page.text)
        assert any(path.endswith("/dom.js") for path in referred)
        for path in set(referred):
            answer = await http.get(f"/{path}")
            assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True), path


async def test_a_page_of_another_release_gets_the_files_of_this_one_and_does_not_keep_them(
    app: RunningApp,
) -> None:
    async with client(app) as http:
        for path in ("/web/0123456789ab/app.js", "/web/app.js"):
            answer = await http.get(path)
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
        assert (await http.get("/web/0123456789ab/none.js")).status_code == 404
        assert (await http.get("/web/0123456789ab/../../pyproject.toml")).status_code == 404


async def test_the_page_answers_to_head(app: RunningApp) -> None:
    async with client(app) as http:
        assert (await http.head("/")).status_code == 200


def test_every_module_that_a_script_imports_is_found_once(tmp_path: Path) -> None:
    (tmp_path / "places").mkdir()
    (tmp_path / "app.js").write_text(
        'import { a } from "./a.js";\nimport {\n  b,\n} from "./places/b.js";\n'
        'const late = () => import("./late.js");\n'
    )
    (tmp_path / "a.js").write_text('import "./places/b.js";\n')
    (tmp_path / "places" / "b.js").write_text('export { a } from "../a.js";\n')
    assert modules_of(tmp_path, "app.js") == ["app.js", "a.js", "places/b.js"]


def test_the_version_changes_with_every_file(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("p {}")
    before = PageFiles(tmp_path).version
    assert PageFiles(tmp_path).version == before
    (tmp_path / "a.css").write_text("p { }")
    assert PageFiles(tmp_path).version != before


async def test_an_answer_can_be_read_without_compression(app: RunningApp) -> None:
    async with client(app) as http:
        plain = await http.get("/", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert "<title>Rhapsode</title>" in plain.text
