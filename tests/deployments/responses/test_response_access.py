"""A response belongs to its principal: for every other one it is not there."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from tests.support.clients.access_people import People, settings_at
from tests.support.running_app import running_app

ROUTES: dict[str, Callable[[OpenAI, str], Any]] = {
    "retrieve": lambda client, name: client.responses.retrieve(name),
    "stream": lambda client, name: client.responses.retrieve(name, stream=True),
    "cancel": lambda client, name: client.responses.cancel(name),
    "delete": lambda client, name: client.responses.delete(name),
    "input_items": lambda client, name: client.responses.input_items.list(name),
}


@contextmanager
def clients(folder: Path, *names: str) -> Iterator[list[OpenAI]]:
    """Clients of one server, each with the key of a principal."""
    people = People.at(folder)
    with running_app(settings_at(folder)) as app, ExitStack() as open_clients:
        url = f"{app.url}/v1"
        yield [
            open_clients.enter_context(OpenAI(base_url=url, api_key=getattr(people, name), max_retries=0))
            for name in names
        ]


def test_the_response_of_another_principal_is_not_there(tmp_path: Path) -> None:
    with clients(tmp_path, "anna", "bob") as (anna, bob):
        hers = anna.responses.create(model="gpt-4o", input="A story, please.")
        for ask in ROUTES.values():
            with pytest.raises(openai.NotFoundError):
                ask(bob, hers.id)
        with pytest.raises(openai.BadRequestError) as refused:
            bob.responses.create(model="gpt-4o", input="And?", previous_response_id=hers.id)
        assert refused.value.code == "previous_response_not_found"
        reference: Any = {"type": "item_reference", "id": hers.output[0].id}
        with pytest.raises(openai.BadRequestError) as refused:
            bob.responses.create(model="gpt-4o", input=[{"role": "user", "content": "And?"}, reference])
        assert refused.value.param == "input[1].id"
        assert anna.responses.retrieve(hers.id).output_text == hers.output_text


def test_an_administrator_reads_and_deletes_responses_and_does_not_go_on_from_them(tmp_path: Path) -> None:
    with clients(tmp_path, "anna", "root") as (anna, root):
        hers = anna.responses.create(model="gpt-4o", input="A story, please.")
        assert root.responses.retrieve(hers.id).output_text == hers.output_text
        with pytest.raises(openai.PermissionDeniedError):
            root.responses.cancel(hers.id)
        with pytest.raises(openai.PermissionDeniedError):
            root.responses.create(model="gpt-4o", input="And?", previous_response_id=hers.id)
        assert len(anna.responses.input_items.list(hers.id).data) == 1
        root.responses.delete(hers.id)
        with pytest.raises(openai.NotFoundError):
            anna.responses.retrieve(hers.id)


def test_a_share_link_opens_no_response(tmp_path: Path) -> None:
    people = People.at(tmp_path)
    with running_app(settings_at(tmp_path)) as app:
        url = f"{app.url}/v1"
        with OpenAI(base_url=url, api_key=people.anna, max_retries=0) as anna:
            hers = anna.responses.create(model="gpt-4o", input="A story, please.")
        session = hers.id.split("_")[1]
        bearer = {"Authorization": f"Bearer {people.anna}"}
        made = httpx.post(f"{url}/sessions/{session}/shares", json={}, headers=bearer).json()
        guest = {"Authorization": f"Bearer {made['token']}"}
        assert httpx.get(f"{url}/sessions/{session}", headers=guest).status_code == 200
        with OpenAI(base_url=url, api_key=made["token"], max_retries=0) as shared:
            for ask in ROUTES.values():
                with pytest.raises(openai.PermissionDeniedError):
                    ask(shared, hers.id)
            with pytest.raises(openai.PermissionDeniedError):
                shared.responses.create(model="gpt-4o", input="And?", previous_response_id=hers.id)
