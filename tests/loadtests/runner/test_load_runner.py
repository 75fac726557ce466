"""Open loop: who is due comes, whatever becomes of the others, and a late start is no excuse."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from types import SimpleNamespace

import pytest
from websockets.asyncio.client import ClientConnection

from loadtests.client import virtual_caller
from loadtests.client.api_connection import ApiConnection, Refused
from loadtests.client.virtual_caller import VirtualCaller
from loadtests.report import load_summary, thresholds
from loadtests.runner import open_loop
from loadtests.runner.open_loop import LoadPlan, LoadProgress, ProcessShare, run
from tests.support.running_app import RunningApp

pytestmark = [pytest.mark.anyio]


async def run_of(
    app: RunningApp,
    act: Callable[[VirtualCaller], Awaitable[None]],
    due_s: list[float],
    most: int,
    grace_s: float = 20,
    *,
    from_arrival: bool = False,
) -> ProcessShare:
    plan = LoadPlan(
        due_s=due_s,
        names=["act"] * len(due_s),
        scenarios={"act": act},
        seconds=due_s[-1],
        grace_s=grace_s,
        most=most,
        seed=1,
        patience_s=30,
        from_arrival=from_arrival,
    )
    authenticator = ApiConnection(app.url)
    try:
        return await run(plan, authenticator, lambda count: None, asyncio.Event(), monotonic())
    finally:
        await authenticator.aclose()


async def test_no_caller_waits_for_the_others_and_one_without_room_is_counted_apart(app: RunningApp) -> None:
    async def stays(person: VirtualCaller) -> None:
        await asyncio.Event().wait()

    done = await run_of(app, stays, [0.0, 0.001, 0.002, 0.003], most=2, grace_s=0.05)
    assert [visit.outcome for visit in done.visits] == ["unfinished"] * 2 + ["refused_by_us"] * 2
    assert load_summary.CallersInside(done.visits).most == 2
    assert done.inside == 0


async def test_a_late_start_is_counted_from_when_it_was_due(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead_s = 0.0
    for module in (open_loop, virtual_caller):
        monkeypatch.setattr(module, "monotonic", lambda: monotonic() + ahead_s)
    dues: list[float] = []

    async def hogs(person: VirtualCaller) -> None:
        nonlocal ahead_s
        dues.append(person.first_due())
        ahead_s += 0.2  # as if this client itself had been slow for so long

    done = await run_of(app, hogs, [0.0, 0.01], most=9)
    assert [visit.outcome for visit in done.visits] == ["fine", "fine"]
    assert done.visits[1].late_s >= 0.15
    assert dues[1] - done.epoch_s == pytest.approx(done.visits[1].due_s, abs=0.01)


@pytest.mark.parametrize("from_arrival", [False, True])
async def test_a_caller_that_waits_to_be_let_in_waits_for_the_first_answer_where_that_is_asked_for(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch, from_arrival: bool
) -> None:
    connect, ahead_s = ApiConnection.connect, 0.0
    for module in (open_loop, virtual_caller):
        monkeypatch.setattr(module, "monotonic", lambda: monotonic() + ahead_s)

    async def slowly(
        authenticator: ApiConnection, session: str, *, after: str, audio: str
    ) -> ClientConnection:
        nonlocal ahead_s
        ahead_s += 0.3  # as if connecting took so long
        return await connect(authenticator, session, after=after, audio=audio)

    async def asks(person: VirtualCaller) -> None:
        async with person.arrived({}) as line:
            await line.ask(person.first_due(), text="Here I am.")
        async with person.line(line.session):
            """Once more: that is no opening."""

    monkeypatch.setattr(ApiConnection, "connect", slowly)
    done = await run_of(app, asks, [0.0], most=9, from_arrival=from_arrival)
    assert [visit.outcome for visit in done.visits] == ["fine"]
    [opened] = [one for visit in done.visits for one in visit.samples if one.series == "open"]
    assert opened.ms >= 300
    turn = next(iter(done.visits[0].heard[0][1].turns.values()))
    assert (turn.asked_s - done.epoch_s >= 0.3) is not from_arrival
    assert turn.asked_s >= done.epoch_s


async def test_a_long_stall_of_this_client_is_late_for_each_tick_that_it_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s, stalls = 100.0, iter([10.0, 0.0])

    async def rests(seconds: float) -> None:
        nonlocal now_s
        now_s += max(0.0, seconds)

    def said(_: LoadProgress) -> None:
        nonlocal now_s
        now_s += next(stalls)

    monkeypatch.setattr(open_loop, "monotonic", lambda: now_s)
    monkeypatch.setattr(open_loop, "asyncio", SimpleNamespace(sleep=rests))
    done = ProcessShare(epoch_s=100.0)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await open_loop._watch(done, said)
    late_ms = [tick.late_ms for tick in done.ticks]
    assert late_ms == pytest.approx([0.0, *(10_000 - 500 * missed for missed in range(1, 21)), 0.0])


async def test_no_caller_queues_inside_this_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server answers when all are there."""
    people, there, everybody = 230, 0, asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal there
        await reader.readuntil(b"\r\n\r\n")
        there += 1
        if there == people:
            everybody.set()
        await everybody.wait()
        body = b'{"session_id": "one"}'
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=people)
    authenticator = ApiConnection(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        made = await asyncio.gather(*(authenticator.create({}) for _ in range(people)))
    finally:
        everybody.set()
        await authenticator.aclose()
        server.close()
    assert made == ["one"] * people


async def test_a_failure_is_one_persons_result_and_says_whose_fault_it_is(app: RunningApp) -> None:
    async def breaks(person: VirtualCaller) -> None:
        match person.visit.number:
            case 0:
                raise Refused("gateway.busy", 2.0)
            case 1:
                raise KeyError("an error of this client")
            case 2:
                await person.open({"voice": "nobody"})
            case 3:
                async with person.line("0198c0de-0000-7000-8000-000000000000") as line:
                    await line.ask(text="Is anybody there?")
            case 4:
                raise TimeoutError

    done = await run_of(app, breaks, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0], most=9)
    assert [(visit.outcome, visit.code) for visit in done.visits] == [
        ("refused", "gateway.busy"),
        ("failed", "client"),
        ("failed", "voice.unknown"),
        ("failed", "session.not_found"),
        ("failed", "timeout"),
        ("fine", ""),
    ]
    assert done.visits[0].retry_after_s == 2.0


async def test_an_error_before_a_closing_is_told_rather_than_the_closing(app: RunningApp) -> None:
    async def comes_late(person: VirtualCaller) -> None:
        async with person.line("0198c0de-0000-7000-8000-000000000000") as line:
            await line._socket.wait_closed()
            await line.ask(text="Is anybody there?")

    done = await run_of(app, comes_late, [0.0], most=9)
    assert [(visit.outcome, visit.code) for visit in done.visits] == [("failed", "session.not_found")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ttfa_p95_ms", "is no requirement"),
        ("ttfa_p95_ms=>5", "is no requirement"),
        ("ttfa_p95<=5", "there are: open_p50_ms"),
        ("speed<=5", "there is no figure 'speed'"),
    ],
)
def test_a_requirement_that_is_none_is_explained(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        thresholds.threshold(text)
