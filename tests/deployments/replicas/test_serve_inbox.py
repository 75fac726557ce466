"""Messages that Serve has read and an application has not taken: bounded for each connection and for all."""

import asyncio
import pickle
from collections.abc import Sequence

import pytest
from ray.serve._private.common import RequestMetadata
from ray.serve._private.direct_ingress_http_util import ASGIDIReceiveProxy
from ray.serve._private.http_util import ASGIReceiveProxy
from starlette.types import Message, Receive, Scope, Send

from deployments.replicas import serve_inbox
from deployments.replicas.serve_inbox import BoundedInboxes, ServeInbox

pytestmark = pytest.mark.anyio


async def taken(kind: str, messages: Sequence[Message], most: int = 100) -> list[str]:
    """Types of the messages that an application takes which begins once Serve has read all of these."""
    left, found = list(messages), list[str]()

    async def read(_: RequestMetadata) -> bytes:
        if not left:
            raise KeyError  # as Serve says that the client has left
        return pickle.dumps([left.pop(0)])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert isinstance(receive, ASGIReceiveProxy)
        await asyncio.ensure_future(receive.fetch_until_disconnect())
        while len(found) < most and not (found and found[-1].endswith("disconnect")):
            found.append((await receive())["type"])

    async def send(_: Message) -> None:
        pytest.fail("nothing is sent here")

    scope = {"type": kind}
    await BoundedInboxes(app)(scope, ASGIReceiveProxy(scope, RequestMetadata("r", "i"), read), send)
    assert ServeInbox.all_untaken == 0
    return found


async def test_messages_that_serve_read_early_are_not_lost() -> None:
    """Behind HAProxy its task that reads begins before the one that answers."""
    left: list[Message] = [{"type": "http.request", "body": b"{}"}, {"type": "http.disconnect"}]
    found = list[Message]()

    async def read() -> Message:
        return left.pop(0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        found.extend([await receive(), await receive()])

    async def send(_: Message) -> None:
        pytest.fail("nothing is sent here")

    scope, expected = {"type": "http"}, list(left)
    receive = ASGIDIReceiveProxy(scope, read, asyncio.get_running_loop())
    await receive.fetch_until_disconnect_task()
    await BoundedInboxes(app)(scope, receive, send)
    assert found == expected
    assert ServeInbox.all_untaken == 0


@pytest.mark.parametrize("field", ["bytes", "text"])
async def test_a_connection_whose_messages_nobody_takes_ends(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve_inbox, "UNTAKEN_BYTES", 4_000_000)
    content = bytes(1_500_000) if field == "bytes" else "a" * 1_500_000
    messages = [{"type": "websocket.receive", field: content}] * 3
    assert await taken("websocket", messages[:2]) == ["websocket.receive"] * 2 + ["websocket.disconnect"]
    assert await taken("websocket", messages) == ["websocket.receive"] * 2 + ["websocket.disconnect"]
    assert len(await taken("websocket", messages, most=1)) == 1


async def test_a_connection_with_countless_empty_messages_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_inbox, "UNTAKEN_BYTES", 50_000)
    found = await taken("websocket", [{"type": "websocket.receive", "text": ""}] * 500)
    assert 1 < len(found) < 100
    assert found[-1] == "websocket.disconnect"


@pytest.mark.parametrize(("size", "count"), [(1_500_000, 0), (400_000, 2)])
async def test_where_all_connections_have_too_much_those_with_much_end(
    size: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve_inbox, "ALL_UNTAKEN_BYTES", 2_000_000)
    other, inbox = ServeInbox("http"), ServeInbox("http")
    other.put_nowait({"type": "http.request", "body": bytes(1_900_000)})
    for message in [{"type": "http.request", "body": bytes(size)}] * 2:
        inbox.put_nowait(message)
    inbox.put_nowait({"type": "http.disconnect"})
    other.close()
    found = [inbox.get_nowait()["type"] for _ in range(inbox.qsize())]
    assert found[: count + 1] == ["http.request"] * count + ["http.disconnect"]
    assert ServeInbox.all_untaken == 0
