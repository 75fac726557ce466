"""One running application that takes calls of both providers, with scripted engines on a real log."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import AppSettings
from tests.deployments.telephone.phone_provider import AUTH_TOKEN, PUBLIC, TELNYX_PUBLIC
from tests.support.running_app import RunningApp, running_app, scripted_settings

ANSWER = "The lamp is lit every evening at eight. A small fox comes by when it rains."
GREETING = "Good evening, this is the lighthouse."
TELEPHONE: dict[str, Any] = {
    "public_url": PUBLIC,
    "twilio_auth_token": AUTH_TOKEN,
    "telnyx_public_key": TELNYX_PUBLIC,
    "greeting": GREETING,
    "transfer_to": {"keeper": "+15550123", "office": "sip:office@example.com"},
    "key_prompts": True,
    "key_pause_s": 0.3,
    "start_s": 2.0,
}


def phone_settings(home: Path, **changes: Any) -> AppSettings:
    return scripted_settings(
        home,
        llm={
            "reply": ANSWER,
            "delta_chars": 6,
            "per_delta_ms": 2,
            "reply_to": {"story": ANSWER * 20, "pressed the keys 42#": "You chose forty two."},
            "call_for": {
                "goodbye": [{"name": "hang_up", "arguments": "{}"}],
                "moon": [{"name": "transfer", "arguments": '{"to": "moon"}'}],
                "keeper": [{"name": "transfer", "arguments": '{"to": "keeper"}'}],
            },
        },
        stt={"texts": ["Please tell me a story."], "per_request_ms": 5},
        limits={"heartbeat_s": 0.2, "rejoin_s": 0.3},
        gateway={"telephone": {**TELEPHONE, **changes}},
    )


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with running_app(phone_settings(tmp_path_factory.mktemp("telephone"))) as running:
        yield running
