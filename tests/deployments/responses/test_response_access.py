"""A response belongs to its principal: for every other one it is not there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def test_the_response_of_another_principal_is_not_there(tmp_path: Path) -> None:
    people = People.at(tmp_path)
    with running_app(settings_at(tmp_path)) as app:
        url = f"{app.url}/v1"
        with (
            OpenAI(base_url=url, api_key=people.anna, max_retries=0) as anna,
            OpenAI(base_url=url, api_key=people.bob, max_retries=0) as bob,
        ):
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
