"""The page's files: loaded beside each other, kept by browsers, and never mixed between releases."""

import base64
import hashlib
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from deployments.web.page_bundle import PageBundle
from deployments.web.page_files import PageFiles
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
        names = [path.rsplit("/", 1)[1] for path in referred]
        assert names == ["icon.svg", "180.png", "manifest.webmanifest", "app.js"]
        for path in set(referred):
            answer = await http.get(f"/{path}")
            assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True), path


async def test_a_browser_can_install_the_page_as_an_app(app: RunningApp) -> None:
    async with client(app) as http:
        page = (await http.get("/")).text
        [path] = re.findall(r'rel="manifest" href="([^"]+)"', page)
        answer = await http.get(f"/{path}")
        manifest, at = answer.json(), answer.url
        assert answer.headers["content-type"] == "application/manifest+json"
        assert (manifest["name"], manifest["display"]) == ("Rhapsode", "standalone")
        assert at.join(manifest["start_url"]).path == at.join(manifest["scope"]).path == "/"
        for icon in manifest["icons"]:
            shown = await http.get(at.join(icon["src"]))
            assert (shown.status_code, shown.headers["content-type"]) == (200, icon["type"])
            if icon["type"] == "image/png":
                assert "x".join(map(str, struct.unpack(">II", shown.content[16:24]))) == icon["sizes"]


async def test_the_page_has_its_style_in_it_and_its_policy_allows_no_other(app: RunningApp) -> None:
    async with client(app) as http:
        for path in ("/", "/docs"):
            page = await http.get(path)
            style = page.text.partition("<style>")[2].partition("</style>")[0]
            digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
            assert "{" in style
            assert "stylesheet" not in page.text
            policy = page.headers["content-security-policy"].split("; ")
            assert f"style-src 'self' 'sha256-{digest}'" in policy, path


async def test_a_welcome_is_on_show_at_once_where_a_chat_begins_and_nowhere_else(app: RunningApp) -> None:
    async with client(app) as http:
        begun, other = (await http.get("/")).text, (await http.get("/?stories")).text
    assert re.findall(r'id="(?:welcome|with)" hidden', begun) == []
    assert re.findall(r'id="(?:welcome|with)" hidden', other) == ['id="with" hidden', 'id="welcome" hidden']


@pytest.mark.parametrize(
    ("accepted", "words"),
    [
        ("de-CH,de;q=0.9,en;q=0.8", ["de"]),
        ("pt-BR, zh-Hant;q=0.7", ["zh"]),
        ("en-GB,fr;q=0.5", []),
        ("pt", []),
        ("", []),
    ],
)
async def test_the_words_of_the_browsers_language_are_loaded_beside_the_script(
    app: RunningApp, accepted: str, words: list[str]
) -> None:
    async with client(app) as http:
        page = await http.get("/", headers={"accept-language": accepted})
        paths = re.findall(r'rel="modulepreload" href="([^"]+)"', page.text)
        assert [path.rpartition("/strings/")[2] for path in paths] == [f"{one}.js" for one in words]
        assert "Accept-Language" in page.headers["vary"]
        for path in paths:
            assert "immutable" in (await http.get(f"/{path}")).headers["cache-control"]


_ENTRY = re.compile(r"^  \".*,$", re.MULTILINE)


@pytest.mark.parametrize("language", ["de", "es", "fr", "zh"])
async def test_the_words_of_the_beginning_come_before_those_of_later_parts_and_none_is_lost(
    app: RunningApp, language: str
) -> None:
    async with client(app) as http:
        page = await http.get("/", headers={"accept-language": language})
        [path] = re.findall(r'rel="modulepreload" href="([^"]+)"', page.text)
        first = await http.get(f"/{path}")
        later = await http.get(f"/{path.removesuffix('.js')}.later.js")
        whole = await http.get(f"/web/strings/{language}.js")
    entries = [_ENTRY.findall(answer.text) for answer in (first, later)]
    assert sorted([*entries[0], *entries[1]]) == sorted(_ENTRY.findall(whole.text))
    assert len(entries[0]) < len(entries[1])
    for text in ("Message…", "What would you like to hear?", "Connecting…"):
        assert f'"{text}":' in first.text
    assert '"Search older ones":' in later.text


async def test_a_page_of_another_release_gets_the_files_of_this_one_and_does_not_keep_them(
    app: RunningApp,
) -> None:
    async with client(app) as http:
        for path in ("/web/0123456789ab/app.js", "/web/app.js"):
            answer = await http.get(path)
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
        assert (await http.get("/web/0123456789ab/none.js")).status_code == 404
        assert (await http.get("/web/0123456789ab/../../pyproject.toml")).status_code == 404


async def test_a_part_of_a_bundled_page_is_asked_of_its_own_release_only(app: RunningApp) -> None:
    async with client(app) as http:
        page = (await http.get("/")).text
        version = _REFERS.findall(page)[-1].split("/")[1]
        part = "settings/panel.part.js"
        assert part in (await http.get(f"/web/{version}/app.js")).text
        assert (await http.get(f"/web/{version}/{part}")).status_code == 200
        assert (await http.get(f"/web/0123456789ab/{part}")).status_code == 404


async def test_a_browser_at_an_address_without_anything_is_led_on(app: RunningApp) -> None:
    async with client(app) as http:
        seen = await http.get("/nowhere", headers={"accept": "text/html,*/*"})
        told = await http.get("/nowhere")
    assert (seen.status_code, seen.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert '<a href="/">Open Rhapsode</a>' in seen.text
    assert (told.status_code, told.json()["code"]) == (404, "route.not_found")


async def test_the_page_answers_to_head(app: RunningApp) -> None:
    async with client(app) as http:
        assert (await http.head("/")).status_code == 200


MODULES = {
    "package.json": '{"type": "module"}',
    "app.js": 'import { one, Other as Renamed } from "./places/b.js";\n'
    'import {\n  count,\n} from "./count.js";\n'
    "\ncount.add();\n"
    "const said = (late, other) => [one(), new Renamed().name, late.seen(), other.seenToo(), count.now];\n"
    'void Promise.all([import("./places/late.js"), import("./places/other.js")])\n'
    "  .then(([late, other]) => console.log(JSON.stringify(said(late, other))));\n",
    "count.js": "export const count = { now: 0, add: () => (count.now += 1) };\n",
    "places/b.js": 'import { count } from "../count.js";\n\n/** A comment\n * of two lines. */\n'
    "const waited = await Promise.resolve(2);\ncount.add();\nexport function one() {\n  return waited;\n}\n"
    'class Inner {\n  name = import.meta.url.split("/").at(-1);\n}\nexport { Inner as Other };\n',
    "places/late.js": 'import { count } from "../count.js";\nimport { more } from "./more.js";\n\n'
    "export const seen = () => (count.add(), more());\n",
    "places/more.js": 'import { both } from "./both.js";\nexport const more = () => `more ${both.now++}`;\n',
    "places/other.js": 'import { both } from "./both.js";\n\nexport const seenToo = () => both.now++;\n',
    "places/both.js": "export const both = { now: 0 };\n",
}


def _written(folder: Path, texts: dict[str, str]) -> None:
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize(("following", "shared"), [("", {"places/both.part.js"}), ("places/late.js", set())])
def test_the_script_does_what_its_modules_do_and_later_parts_share_them(
    tmp_path: Path, following: str, shared: set[str]
) -> None:
    _written(tmp_path, MODULES)
    bundle = PageBundle(tmp_path, "app.js", following)
    assert bundle.modules == ["count.js", "places/b.js", "app.js"]
    assert set(bundle.texts) == {"app.js", "places/late.part.js", "places/other.part.js"} | shared

    def said() -> str:
        return subprocess.check_output(["node", tmp_path / "app.js"], text=True, timeout=60)

    assert said() == '[2,"b.js","more 0",1,3]\n'
    _written(tmp_path, bundle.texts)
    for module in MODULES.keys() - {"app.js", "package.json"}:
        (tmp_path / module).unlink()
    assert said() == '[2,"b.js","more 0",1,3]\n'


@pytest.mark.parametrize(
    "line",
    [
        'import all from "./b.js";',
        "export default 3;",
        'export * from "./b.js";',
        'import { missing } from "./b.js";',
        'import { itself } from "./app.js";',
        'import { second } from "./several.js";',
        'import { first } from "./several.js";\nvoid import("./several.js");',
        'import { first } from "./taken.js";',
        'void import("./following.js");\nvoid import("./needed.js");',
    ],
)
def test_a_module_that_cannot_be_put_into_the_script_is_refused_by_name(tmp_path: Path, line: str) -> None:
    several = "export const first = 1, second = 2;\n"
    taken = "const whole = { first: 1 };\nexport const { first } = whole;\n"
    following = 'import { one } from "./needed.js";\n'
    _written(tmp_path, {"app.js": f"{line}\n", "b.js": "", "several.js": several, "taken.js": taken})
    _written(tmp_path, {"following.js": following, "needed.js": "export const one = 1;\n"})
    with pytest.raises(ValueError, match=r"(app|taken)\.js: .*cannot be put"):
        PageBundle(tmp_path, "app.js", "following.js")


def test_code_behind_a_comment_in_its_line_stays(tmp_path: Path) -> None:
    code = "/** A type. */ const first = 1;\nlost();\n/** Another. */\nconst second = 2;\n"
    _written(tmp_path, {"app.js": code})
    script = PageBundle(tmp_path, "app.js").texts["app.js"]
    assert "const first = 1;\nlost();\nconst second = 2;" in script


def test_text_that_looks_like_a_comment_stays(tmp_path: Path) -> None:
    code = "/** A comment. */\nconst text = `\n  // one\n  /** two */\n`;\n"
    _written(tmp_path, {"app.js": code})
    assert "`\n  // one\n  /** two */\n`" in PageBundle(tmp_path, "app.js").texts["app.js"]


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_text_that_looks_like_code_stays_as_it_is_written(tmp_path: Path) -> None:
    code = (
        'const mark = /[`"]/; // `\nconst shown = `\nimport { a } from "./b.js";\nexport const c = 1;\n'
        "  // one ${mark.source}\nexport { c };\n`;\nconsole.log(JSON.stringify(shown));\n"
    )
    _written(tmp_path, {"package.json": MODULES["package.json"], "app.js": code})

    def said() -> str:
        return subprocess.check_output(["node", tmp_path / "app.js"], text=True, timeout=60)

    before = said()
    _written(tmp_path, PageBundle(tmp_path, "app.js").texts)
    assert said() == before
    assert "export const c = 1;" in before


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
