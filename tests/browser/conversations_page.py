"""What somebody who talks about documents does at the page, in words that tests can use."""

import time

import httpx
from playwright.sync_api import Locator, expect

from tests.browser.page_reader import Reader

BEES = """# The hive

Bees live together in a hive. Their combs are built of wax, which they sweat from their own bodies.

## The dance

Bees dance to tell each other where flowers are, how far, and in which direction from the sun.
"""
BROKEN: dict[str, object] = {"name": "broken.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4"}


def file(name: str, text: str) -> dict[str, object]:
    """For a file chooser."""
    return {"name": name, "mimeType": "", "buffer": text.encode()}


def new_collection(url: str, name: str = "Bee keeping", **files: str) -> str:
    """The id of a collection that has these documents; "_" stands for a dot in their names."""
    with httpx.Client(base_url=url, timeout=30) as http:
        made = http.post("/v1/collections", json={"name": name}).raise_for_status().json()
        for title, text in files.items():
            sent = {"file": (title.replace("_", "."), text.encode())}
            http.post(f"/v1/collections/{made['id']}/documents", files=sent).raise_for_status()
        while made["id"] not in [one["id"] for one in http.get("/v1/collections").json()["collections"]]:
            time.sleep(0.05)  # the list lags a moment behind
    return str(made["id"])


def new_talk(url: str, *collections: str, character: str | None = None, title: str = "") -> str:
    """The address of a talk's page."""
    wish = {"title": title, "character": character, "settings": {"collections": list(collections)}}
    made = httpx.post(f"{url}/v1/threads", json=wish, timeout=30).raise_for_status().json()
    return f"/?thread={made['id']}"


def new_character(url: str, name: str, *collections: str) -> str:
    wish = {"name": name, "persona": "Dry and kind.", "collections": list(collections)}
    made = httpx.post(f"{url}/v1/characters", json=wish, timeout=30).raise_for_status().json()
    return str(made["id"])


def row(reader: Reader, name: str) -> Locator:
    """A document in the list, which a chat opens by itself where one failed."""
    documents = reader.page.get_by_role("list", name="Documents", include_hidden=True)
    return documents.get_by_role("listitem", include_hidden=True).filter(has_text=name)


def added(reader: Reader, name: str) -> Locator:
    """The same, once it can be found."""
    expect(row(reader, name)).to_have_attribute("data-state", "ready")
    return row(reader, name)


def attach(reader: Reader, *files: dict[str, object]) -> None:
    """Add files to the chat on show, by the button's file chooser."""
    with reader.page.expect_file_chooser() as chooser:
        reader.page.get_by_role("button", name="Attach", exact=True).click()
    chooser.value.set_files(list(files))  # type: ignore[arg-type]


def attached(reader: Reader) -> Locator:
    """The words above the box of the chat's files."""
    return reader.page.locator("#attached summary")
