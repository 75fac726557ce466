"""Several people in one talk, each under a key of their own."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import CITED
from tests.browser.conversations_page import BEES
from tests.browser.page_reader import Reader
from tests.browser.test_sign_in_page import signed_in
from tests.support.clients.access_people import People
from tests.support.running_app import RunningApp, running_app, scripted_settings

pytestmark = pytest.mark.browser
OpenPage = Callable[..., Reader]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningApp, People]]:
    home = tmp_path_factory.mktemp("people")
    people = People.at(home)
    settings = scripted_settings(
        home,
        llm={
            "reply": CITED,
            "reply_to": {"at length": " ".join([CITED] * 40)},
            "delta_chars": 12,
            "per_delta_ms": 50,
        },
        tts={"ms_per_char": 30},
        retrieval={"embedding": "wordllama", "judge": None},
    )
    with running_app(settings, workers=True) as running:
        yield running, people


@pytest.fixture
def talk(closed: tuple[RunningApp, People]) -> str:
    """Anna's, about documents of hers."""
    app, people = closed
    bearer = {"Authorization": f"Bearer {people.anna}"}
    with httpx.Client(base_url=app.url, headers=bearer, timeout=30) as http:
        collection = http.post("/v1/collections", json={"name": "Hives"}).json()["id"]
        http.post(f"/v1/collections/{collection}/documents", files={"file": ("bees.md", BEES.encode())})
        wish = {"title": "Together", "settings": {"collections": [collection]}}
        return f"{app.url}/?thread={http.post('/v1/threads', json=wish).json()['id']}"


def test_a_user_who_is_let_in_reads_and_asks(
    open_page: OpenPage, closed: tuple[RunningApp, People], talk: str
) -> None:
    _, people = closed
    anna, bob = open_page(talk), open_page(talk)
    signed_in(anna, people.anna)
    signed_in(bob, people.bob)
    expect(bob.page.get_by_role("alert").filter(has_text="There is no such session")).to_be_visible()
    anna.choose("People")
    anna.page.get_by_label("Their name").fill("bob")
    anna.page.get_by_role("button", name="Add").click()
    expect(anna.page.get_by_role("button", name="Remove bob")).to_be_visible()
    anna.page.keyboard.press("Escape")
    bob.page.reload()
    expect(bob.page.get_by_role("heading", name="Together")).to_be_visible()
    expect(anna.page.get_by_role("button", name="Attach", exact=True)).to_be_visible()
    expect(bob.page.get_by_role("button", name="Attach", exact=True)).to_be_hidden()
    expect(bob.page.locator("#knowledge-note")).to_be_hidden()
    bob.ask("What is it built of?")
    for reader in (bob, anna):
        reader.status_is("completed")
        assert reader.answer == CITED
        expect(reader.page.locator(".by")).to_have_text("bob")
    anna.ask("Now at length")
    for reader in (bob, anna):
        expect(reader.page.locator(".by")).to_have_text(["bob", "anna"])
    bob.wait("s.turn !== null")
    bob.page.keyboard.press("Escape")
    for reader in (bob, anna):
        expect(reader.page.locator(".turn").nth(1).get_by_text("Stopped by bob")).to_be_visible()
    bob.page.get_by_role("list", name="Sources").get_by_role("button").first.click()
    expect(bob.page.locator("#passage mark")).to_contain_text("Their combs are built of wax")
    expect(bob.page.get_by_text("The whole document is not yours to open")).to_be_visible()
    expect(bob.page.locator(".history").get_by_role("link", name="Together").first).to_be_visible()
    anna.choose("People")
    anna.page.get_by_role("button", name="Remove bob").click()
    expect(anna.page.get_by_role("button", name="Remove bob")).to_have_count(0)
    bob.page.goto(talk)
    expect(bob.page.get_by_role("alert").filter(has_text="There is no such session")).to_be_visible()
