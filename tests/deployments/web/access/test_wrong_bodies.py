"""JSON that is meant to do harm, sent to every route that takes a body: it is refused, and never a 500."""

import anyio
import pytest

from tests.deployments.web.access.test_resource_access import HARMLESS, NAMED, OTHERS, UPKEEP, Way, values
from tests.support.clients.access_people import Belongings, People, belongings_of, client
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio
# In alphabetical order: one of the bodies is taken for three minutes of sound by the route of recordings,
# and that of comparisons would listen to all of it again and again.
WRITES = sorted((way for way in OTHERS if way.method in ("POST", "PUT", "PATCH")), key=str)
FIELDS = (
    "prompt",
    "message",
    "title",
    "name",
    "text",
    "label",
    "input",
    "question",
    "user",
    "id",
    "key",
    "model",
)
BODIES = {
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "a number of 5,000 digits": b'{"prompt":%b,"limit":%b}' % (b"9" * 5_000, b"9" * 5_000),
    "half characters": b"{%b}" % b",".join(b'"%b":"\\ud800"' % name.encode() for name in FIELDS),
    "control characters": b"{%b}" % b",".join(b'"%b":"\\u0000"' % name.encode() for name in FIELDS),
    "no UTF-8": b'{"prompt":"\xff\xfe"}',
    "60,000 messages": b'{"model":"gpt-4o","messages":[%b]}' % b",".join([b"{}"] * 60_000),
}


@pytest.fixture(scope="module")
def his(app: RunningApp, people: People) -> Belongings:
    return anyio.run(belongings_of, app, people.bob, "bob")


@pytest.mark.parametrize("way", WRITES, ids=str)
async def test_json_that_is_meant_to_do_harm_breaks_nothing(
    app: RunningApp, people: People, his: Belongings, way: Way
) -> None:
    path = next(values(way, his)) if way in NAMED else HARMLESS | UPKEEP
    async with client(app, people.bob, **{"Content-Type": "application/json"}) as http:
        for name, body in BODIES.items():
            answer = await http.request(way.method, way.to(**path), content=body)
            assert answer.status_code < 500, (name, answer.text[:300])
