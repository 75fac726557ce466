"""Each principal's share is bounded: places, disk, listening, searches, the reader."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, asynccontextmanager
from itertools import product
from pathlib import Path

import anyio
import httpx
import pytest
from websockets.asyncio.client import connect

from pipeline.admission.held_sessions import HeldSessions
from pipeline.admission.upload_limits import Arriving
from pipeline.core.fair_slots import FairPlaces
from pipeline.stt.vad import FRAME_MS
from schemas.errors import GatewayBusy
from schemas.errors.access_errors import ListenerLimit, UploadLimit
from schemas.settings.access_settings import PrincipalLimits
from schemas.settings.limit_settings import LimitSettings
from tests.support.clients.access_people import People, client, settings_at, stream
from tests.support.clients.native_client import ask, create, listen_until_over, split_frame
from tests.support.running_app import RunningApp, running_app
from tests.support.speech.sound_files import wav

pytestmark = pytest.mark.anyio
SECOND = bytes(32_000)
LIMITS = {
    "file_minutes_per_hour": 1,
    "heard_minutes_per_hour": 1,
    "searches_per_minute": 2,
    "uploads": 2,
    "arriving_bytes": 1_000_000,
    "sessions_per_hour": 10_000,
}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, People]:
    home = tmp_path_factory.mktemp("fair")
    return home, People.at(home)


@pytest.fixture(scope="module")
def app(people: tuple[Path, People]) -> Iterator[RunningApp]:
    retrieval = {"embedding": "wordllama", "judge": None, "uploads_each": 1}
    with running_app(settings_at(people[0], limits={"principal": LIMITS}, retrieval=retrieval)) as running:
        yield running


@pytest.fixture
def anna(people: tuple[Path, People]) -> str:
    return people[1].anna


@pytest.fixture
def bob(people: tuple[Path, People]) -> str:
    return people[1].bob


def refused(answer: httpx.Response) -> tuple[int, str, bool]:
    return answer.status_code, answer.json()["code"], int(answer.headers.get("retry-after", 0)) > 0


async def upload(app: RunningApp, key: str, sound: bytes) -> httpx.Response:
    async with client(app, key) as http:
        session = await create(http)
        return await http.post(f"/v1/sessions/{session}/recordings", content=sound)


def test_files_that_arrive_are_bounded_for_each_and_for_all() -> None:
    each = PrincipalLimits(uploads=2, arriving_bytes=10_000)
    arriving = Arriving(LimitSettings(inputs=3, arriving_bytes=15_000, principal=each))
    with ExitStack() as there:
        first = there.enter_context(arriving.file("anna"))
        first.grow(10_000)
        with pytest.raises(UploadLimit):
            first.grow(1)
        there.enter_context(arriving.file("anna"))
        with pytest.raises(UploadLimit), arriving.file("anna"):
            pass
        other = there.enter_context(arriving.file("bob"))
        with pytest.raises(GatewayBusy), arriving.file("carol"):
            pass
        with pytest.raises(GatewayBusy):
            other.grow(5_001)
        other.grow(5_000)
    with arriving.file("anna") as again:
        again.grow(10_000)


def test_a_file_for_which_the_disk_has_no_room_is_refused_for_now() -> None:
    arriving = Arriving(LimitSettings(inputs=1))
    for device, kind in (("/dev/full", GatewayBusy), ("/dev/none", FileNotFoundError)):
        with pytest.raises(kind), arriving.file("anna"), open(device, "r+b", buffering=0) as file:
            file.write(b"sound")
    with arriving.file("anna"):
        pass


class Holder:
    """Holds a session."""


def holding(each: int, *, all_together: int | None = None) -> LimitSettings:
    """Limits of what connections hold, in bytes."""
    return LimitSettings(held_bytes=all_together or 4 * each, principal=PrincipalLimits(held_bytes=each))


def test_long_sessions_that_connections_hold_are_bounded_for_each_and_for_all() -> None:
    held, holders = HeldSessions(holding(1_000, all_together=4_000)), [Holder() for _ in range(5)]
    held.hold(holders[0], "anna", 2_800)  # the first one is always taken
    with pytest.raises(ListenerLimit):
        held.hold(holders[1], "anna", 1)
    held.hold(holders[1], "bob", 1_200)
    with pytest.raises(GatewayBusy):
        held.hold(holders[2], "carol", 1)
    del holders[0]
    held.hold(holders[1], "anna", 800)


def test_on_an_open_server_connections_hold_what_there_is_for_all() -> None:
    held, holders = HeldSessions(holding(1_000, all_together=4_000)), [Holder() for _ in range(3)]
    held.hold(holders[0], "", 2_000)
    held.hold(holders[1], "", 2_000)
    with pytest.raises(GatewayBusy):
        held.hold(holders[2], "", 1)


def test_a_session_that_several_downloads_hold_counts_once_until_the_last_one_ends() -> None:
    held, story, another = HeldSessions(holding(1_000)), Holder(), Holder()
    downloads = [Holder() for _ in range(9)]
    for download in downloads[1:]:
        held.hold(download, "anna", 800, of=story)
    del downloads[1:], download
    held.hold(downloads[0], "anna", 800, of=story)
    with pytest.raises(ListenerLimit):
        held.hold(another, "anna", 800)
    downloads.clear()
    held.hold(another, "anna", 800)


async def test_a_session_that_a_realtime_connection_holds_counts_until_it_ends(
    app: RunningApp, people: tuple[Path, People], monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Authorization": f"Bearer {people[1].root}"}
    async with client(app, people[1].root) as http:
        session = await create(http)
        await ask(http, session, text="word " * 4_000, settings={"speak": False})
    assert app.services is not None
    monkeypatch.setattr(app.services.held, "limits", holding(10_000))

    @asynccontextmanager
    async def greeted() -> AsyncGenerator[str, None]:
        """The code of a refusal, if it is one."""
        url = f"{app.ws_url}/v1/realtime?session_id={session}"
        async with connect(url, additional_headers=headers, proxy=None) as socket:
            told = json.loads(await socket.recv())
            yield told["error"]["code"] if told["type"] == "error" else ""

    async with greeted() as first, greeted() as second:
        assert (first, second) == ("", "limit.listeners")
    with anyio.fail_after(10):
        code = "limit.listeners"
        while code:
            async with greeted() as code:
                pass


@pytest.mark.parametrize(("each", "code"), [(2_300_000, "limit.listeners"), (2_600_000, "invalid_value")])
async def test_a_long_realtime_event_counts_once_among_what_is_held(
    app: RunningApp, people: tuple[Path, People], monkeypatch: pytest.MonkeyPatch, each: int, code: str
) -> None:
    assert app.services is not None
    holder, headers = Holder(), {"Authorization": f"Bearer {people[1].root}"}
    async with connect(f"{app.ws_url}/v1/realtime", additional_headers=headers, proxy=None) as socket:
        assert json.loads(await socket.recv())["type"] == "session.created"
        monkeypatch.setattr(app.services.held, "limits", holding(each))
        app.services.held.hold(holder, "root", 1_200_000)
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": "!" * 1_200_000}))
        assert json.loads(await socket.recv())["error"]["code"] == code
        await socket.send(json.dumps({"type": "input_audio_buffer.clear"}))
        assert json.loads(await socket.recv())["type"] == "input_audio_buffer.cleared"


async def test_places_go_round_by_principal() -> None:
    places, order, begun = FairPlaces(1), list[str](), anyio.Event()

    async def work(who: str) -> None:
        async with places.place(who[0]):
            order.append(who)
            await begun.wait()

    async with asyncio.TaskGroup() as tasks:
        for who in ("a1", "a2", "a3", "a4", "b1", "c1"):
            tasks.create_task(work(who))
            await asyncio.sleep(0)
        begun.set()
    assert order == ["a1", "a2", "b1", "c1", "a3", "a4"]


async def test_a_caller_that_leaves_the_queue_leaves_no_place_taken() -> None:
    places = FairPlaces(1)

    async def work(who: str) -> None:
        async with places.place(who):
            await anyio.sleep_forever()

    holder, waiter, next_one = (asyncio.create_task(work(who)) for who in ("a", "b", "b"))
    await asyncio.sleep(0)
    waiter.cancel()
    holder.cancel()  # the place goes to who waits, and one of them is leaving at the same time
    await asyncio.sleep(0)
    next_one.cancel()
    await asyncio.gather(holder, waiter, next_one, return_exceptions=True)
    with anyio.fail_after(5):
        async with places.place("c"):
            pass


async def test_recordings_are_metered_by_their_length(app: RunningApp, anna: str, bob: str) -> None:
    assert (await upload(app, anna, wav(25 * SECOND))).status_code == 200
    assert (await upload(app, anna, wav(25 * SECOND))).status_code == 200
    assert refused(await upload(app, anna, wav(25 * SECOND))) == (429, "limit.heard", True)
    async with client(app, anna) as http:
        form = {"model": (None, "whisper-1"), "file": ("a.wav", wav(25 * SECOND))}
        answer = await http.post("/v1/audio/transcriptions", files=form)
        assert answer.status_code == 429
    assert (await upload(app, bob, wav(SECOND))).status_code == 200


async def test_a_microphone_is_metered_as_it_is_heard(app: RunningApp, people: tuple[Path, People]) -> None:
    root = people[1].root
    async with client(app, root) as http:
        session = await create(http)
    headers = {"Authorization": f"Bearer {root}"}
    async with connect(app.ws_url + stream(session), additional_headers=headers, max_queue=None) as socket:
        await socket.send('{"type": "input.open", "format": "pcm16", "rate": 16000}')
        for _ in range(75):
            await socket.send(SECOND)
        with anyio.fail_after(60):
            codes, closed = set(), None
            while closed is None or "limit.heard" not in codes:
                frame = split_frame(await socket.recv())[0]
                codes.add(frame.get("code"))
                if frame.get("type") == "input.closed":
                    closed = frame["data"]
    assert (closed["reason"], closed["code"]) == ("failed", "limit.heard")
    # The sixth step of 10 s is granted once the allowance regains the 1 ms taken at the opening, which takes
    # 60 ms. Whole VAD frames count: of 50,000 ms the last half frame does not.
    assert closed["ms"] in (50_000 // FRAME_MS * FRAME_MS, 60_000)


async def test_searches_and_documents_that_are_read_are_metered(app: RunningApp, anna: str, bob: str) -> None:
    for who, statuses in ((anna, [200, 200, 429]), (bob, [200])):
        async with client(app, who) as http:
            collection = (await http.post("/v1/collections", json={"name": "x"})).json()["id"]
            wish = {"question": "bees", "strategy": "keyword"}
            path = f"/v1/collections/{collection}/search"
            answers = [await http.post(path, json=wish) for _ in statuses]
            assert [answer.status_code for answer in answers] == statuses
            if statuses[-1] == 429:
                assert refused(answers[-1]) == (429, "limit.searches", True)
                file = {"file": ("a.txt", b"Bees.")}
                answer = await http.post("/v1/documents/text", files=file)
                assert refused(answer) == (429, "limit.searches", True)


async def test_files_are_metered(
    app: RunningApp, anna: str, bob: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app.services is not None
    async with client(app, anna) as http:
        session = await create(http)
        turn = await ask(http, session, text="A short one.")
        token = (await http.post("/v1/tokens")).json()["token"]
        await listen_until_over(app.ws_url, session, turn, token=token)
        assert (await http.get(f"/v1/sessions/{session}/export")).status_code == 200
        for place in ("audio", "export"):
            assert refused(await http.get(f"/v1/sessions/{session}/{place}")) == (429, "limit.files", True)
        # Nothing is read or made for what is refused.
        with monkeypatch.context() as patched:
            patched.setattr(app.services.recordings, "_log", None)
            for small, kind in product((True, False), ("wav", "opus", "mp3")):
                patched.setattr(app.services.recordings, "small", lambda wish, small=small: small)
                answer = await http.get(f"/v1/sessions/{session}/audio?format={kind}")
                assert refused(answer) == (429, "limit.files", True)
    async with client(app, bob) as http:
        assert (await http.get(f"/v1/sessions/{await create(http)}/export")).status_code == 200


@pytest.fixture
def charged(app: RunningApp, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Principals that minutes of files are taken of, with their milliseconds."""
    taken: list[tuple[str, int]] = []

    async def file(principal: str, ms: int) -> None:
        taken.append((principal, ms))

    assert app.services is not None
    monkeypatch.setattr(app.services.allowance, "file", file)
    return taken


async def test_a_file_that_would_hold_too_much_takes_no_minutes(
    app: RunningApp, bob: str, charged: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert app.services is not None
    holder = Holder()
    async with client(app, bob) as http:
        session = await create(http)
        turn = await ask(http, session, text="A short one.")
        token = (await http.post("/v1/tokens")).json()["token"]
        await listen_until_over(app.ws_url, session, turn, token=token)
        monkeypatch.setattr(app.services.recordings, "small", lambda wish: False)
        app.services.held.hold(holder, "bob", 64 << 20)
        answer = await http.get(f"/v1/sessions/{session}/audio")
    assert refused(answer) == (429, "limit.listeners", True)
    assert charged == []


async def test_a_piece_of_a_narration_costs_its_sound(
    app: RunningApp, anna: str, charged: list[tuple[str, int]]
) -> None:
    async with client(app, anna) as http:
        text = "One short sentence stands here alone."
        narration = (await http.post("/api/tts/generate", json={"text": text})).json()["session_id"]
        token = (await http.post("/v1/tokens")).json()["token"]
        await listen_until_over(app.ws_url, narration, 2, token=token)
        answer = await http.get(f"/api/tts/audio/{narration}/chunk/0")
        [turn] = (await http.get(f"/v1/sessions/{narration}")).json()["turns"]
    assert answer.status_code == 200
    assert charged == [("anna", turn["audio_ms"])]


@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
async def test_a_part_of_a_file_costs_what_has_to_be_made_for_it(
    app: RunningApp, anna: str, monkeypatch: pytest.MonkeyPatch, small: bool
) -> None:
    """A small file is made whole, and kept; a part of a large one from where its sentence begins."""
    assert app.services is not None
    charged: list[int] = []

    async def file(principal: str, ms: int) -> None:
        charged.append(ms)

    monkeypatch.setattr(app.services.allowance, "file", file)
    monkeypatch.setattr(app.services.recordings, "small", lambda wish: small)
    async with client(app, anna) as http:
        session = await create(http)
        turn = await ask(http, session, text="One short sentence stands here alone.")
        token = (await http.post("/v1/tokens")).json()["token"]
        await listen_until_over(app.ws_url, session, turn, token=token)
        whole = (await http.get(f"/v1/sessions/{session}")).json()["turns"][0]["audio_ms"]
        path = f"/v1/sessions/{session}/audio?format=wav"
        size = 0
        for _ in range(2):
            answer = await http.get(path, headers={"Range": "bytes=-2"})
            assert (answer.status_code, len(answer.content)) == (206, 2)
            size = int(answer.headers["Content-Range"].rpartition("/")[2])
        assert size > 2
        answer = await http.get(path, headers={"Range": f"bytes={size}-"})
        assert answer.status_code == 416
    assert charged[:2] == [whole, 0 if small else whole]
    assert charged[2] == 0


async def test_a_caller_that_sends_much_keeps_nobody_else_from_sending(
    app: RunningApp, anna: str, bob: str
) -> None:
    assert app.services is not None
    with ExitStack() as there:
        for _ in range(2):
            there.enter_context(app.services.arriving.file("anna"))
        assert refused(await upload(app, anna, wav(SECOND))) == (429, "limit.uploads", True)
        async with client(app, anna) as http:
            form = {"model": (None, "whisper-1"), "file": ("a.wav", wav(SECOND))}
            assert (await http.post("/v1/audio/transcriptions", files=form)).status_code == 429
        assert (await upload(app, bob, wav(SECOND))).status_code == 200
    large = wav(40 * SECOND)
    assert len(large) > 1_000_000
    assert refused(await upload(app, anna, large)) == (429, "limit.uploads", True)


async def test_documents_in_hand_are_bounded_for_each(app: RunningApp, anna: str, bob: str) -> None:
    assert app.services is not None
    with app.services.collections.additions.place("anna"):
        for who, status in ((anna, 429), (bob, 201)):
            async with client(app, who) as http:
                collection = (await http.post("/v1/collections", json={"name": "x"})).json()["id"]
                path = f"/v1/collections/{collection}/documents"
                answer = await http.post(path, files={"file": ("a.txt", b"Bees dance in the hive.")})
                assert answer.status_code == status
                if status == 429:
                    assert refused(answer) == (429, "limit.uploads", True)
