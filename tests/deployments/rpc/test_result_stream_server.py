"""A gateway's result stream server takes frames of its replicas, however they are cut, and no others."""

import asyncio
from itertools import pairwise
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.rpc.result_frames import LARGEST
from deployments.rpc.result_stream_server import (
    TOKEN_ACCEPTED,
    ResultStreamServer,
    error_item,
    unless_error,
)
from schemas import errors
from schemas.errors import EngineDead, EngineError
from tests.support.eventually import eventually
from tests.support.local_replicas import HERE

pytestmark = pytest.mark.anyio


async def test_items_that_come_after_serve_has_ended_the_call_are_waited_for(
    results: ResultStreamServer,
) -> None:
    call = results.call()
    call.expect(2)
    call.end()
    call.put({"number": 0})
    items = aiter(call)
    assert await anext(items) == {"number": 0}
    last = asyncio.ensure_future(anext(items))
    await asyncio.sleep(0)
    call.put({"number": 1})
    assert await last == {"number": 1}
    assert [item async for item in items] == []


@pytest.mark.parametrize(
    "kind",
    [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EngineError)],
)
def test_an_error_of_an_engine_keeps_its_code_on_the_way_from_its_replica(kind: type[EngineError]) -> None:
    with pytest.raises(EngineError, match="of the engine") as found:
        unless_error(error_item(kind("a word of the engine", field="input")))
    assert (found.value.code, found.value.field) == (kind.code, "input")
    assert isinstance(found.value, kind) or kind is EngineError


def framed(frame: bytes) -> bytes:
    return len(frame).to_bytes(4, "big") + frame


async def test_items_lost_with_their_connection_are_not_waited_for(
    results: ResultStreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.rpc.result_stream_server._LATE_S", 3_600.0)
    call = results.call()
    _, writer = await asyncio.open_connection(HERE, int(call.back["back_port"]))
    writer.write(framed(str(call.back["back_token"]).encode()))
    writer.write(framed(msgpack.packb([call.back["call"], {"number": 0}])))
    call.expect(2)
    call.end()
    items = aiter(call)
    assert await anext(items) == {"number": 0}
    writer.close()
    with pytest.raises(EngineDead, match="connection was lost"):
        await anext(items)


async def test_many_strangers_keep_no_replica_away(
    results: ResultStreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.rpc.result_stream_server._GREETED_S", 3_600.0)
    call = results.call()
    port = int(call.back["back_port"])
    reader, writer = await asyncio.open_connection(HERE, port)
    writer.write(framed(str(call.back["back_token"]).encode()))
    assert await reader.readexactly(len(TOKEN_ACCEPTED)) == TOKEN_ACCEPTED
    strangers = [await asyncio.open_connection(HERE, port) for _ in range(70)]
    first = strangers[0][0]
    assert await asyncio.wait_for(first.read(), 30) == b""
    writer.write(framed(msgpack.packb([call.back["call"], {"number": 0}])))
    assert await anext(aiter(call)) == {"number": 0}
    for _, other in (*strangers, (reader, writer)):
        other.close()


@pytest.mark.parametrize(
    "said",
    [
        b"\x00\x00\x00\x20" + b"f" * 32,
        b"\x00\x00\x00\x00",
        LARGEST.to_bytes(4, "big"),
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
    ],
    ids=["another token", "no token", "much", "a browser"],
)
async def test_a_stranger_is_sent_away(results: ResultStreamServer, said: bytes) -> None:
    call = results.call()
    reader, writer = await asyncio.open_connection(HERE, int(call.back["back_port"]))
    writer.write(said)
    async with asyncio.timeout(2):  # sooner than who says nothing at all is sent away
        assert await reader.read() == b""
    writer.close()


async def test_a_replica_that_sends_no_frames_is_sent_away(results: ResultStreamServer) -> None:
    call = results.call()
    reader, writer = await asyncio.open_connection(HERE, int(call.back["back_port"]))
    token = str(call.back["back_token"]).encode()
    writer.write(len(token).to_bytes(4, "big") + token + b"\x00\x00\x00\x01\xc1")
    async with asyncio.timeout(2):
        assert await reader.read() == TOKEN_ACCEPTED
    writer.close()


ITEMS = st.lists(
    st.dictionaries(
        st.text(max_size=5),
        st.text(max_size=20)
        | st.binary(max_size=200)
        | st.integers(-(2**31), 2**31)
        | st.floats(allow_nan=False),
        max_size=3,
    ),
    max_size=12,
)


@given(items=ITEMS, cuts=st.lists(st.integers(0, 5_000), max_size=20))
def test_however_the_bytes_are_cut_the_items_are_the_same(
    items: list[dict[str, Any]], cuts: list[int]
) -> None:
    async def taken() -> list[Any]:
        async with ResultStreamServer(HERE) as results:
            call = results.call()
            token = str(call.back["back_token"]).encode()
            frames = [token, *(msgpack.packb([call.back["call"], item]) for item in items)]
            wire = b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)
            _, writer = await asyncio.open_connection(HERE, int(call.back["back_port"]))
            await eventually(lambda: bool(results._connections))
            [connection] = results._connections
            edges = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
            for start, end in pairwise(edges):
                connection.data_received(wire[start:end])
            call.expect(len(items))
            call.end()
            found = [item async for item in call]
            writer.close()
            return found

    assert asyncio.run(taken()) == items
