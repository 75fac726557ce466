"""One running application that speaks the Realtime API, with scripted engines on a real log."""

from tests.support.running_app import app_fixture

ANSWER = "The lamp is lit every evening at eight. A small fox comes by when it rains. It stays by the fire."
SLOWLY = ANSWER * 6
app = app_fixture(
    "package",
    llm={
        "reply": ANSWER,
        "delta_chars": 6,
        "per_delta_ms": 4,
        "reply_to": {"slowly": SLOWLY, "for ever": ANSWER * 200, "echo": "You said so."},
        "call_for": {"weather": [{"name": "weather", "arguments": '{"city": "Kiel"}'}]},
    },
    stt={"texts": ["Please tell me a story."], "per_request_ms": 5},
    limits={"heartbeat_s": 0.2, "rejoin_s": 0.3},
    session={"max_tokens": 4_000},
)
