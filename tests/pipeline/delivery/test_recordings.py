"""The audio of turns with very many sentences."""

import threading
from dataclasses import replace

import anyio
import pytest

from pipeline.audio.audio_formats import AudioFormat
from pipeline.delivery.recordings import RecordingParams, RecordingPart, Recordings
from pipeline.delivery.sentence_audio import SentenceEncoder
from pipeline.session_state.turn_state import SentenceState, TurnState
from schemas.ids import Seq, TurnId, new_session_id
from schemas.settings import SessionSettings
from tests.support.eventlog.memory_log import MemoryEventLog

pytestmark = pytest.mark.anyio
MANY = 20_000


def recording() -> RecordingParams:
    turn = TurnState(TurnId(1), "prompt", "", SessionSettings(), 0)
    turn.sentences = [SentenceState(n, n, n + 1, "x", ms=20, first_chunk=Seq(MANY - n)) for n in range(MANY)]
    return RecordingParams((RecordingPart(new_session_id(), [turn], Seq(MANY)),), "pcm16")


def test_their_order_is_found_once() -> None:
    params = recording()
    assert params.sentences is params.sentences
    assert [one.first_chunk for _, one in params.sentences[:3]] == [1, 2, 3]
    assert params.ms == MANY * 20


async def test_the_same_part_is_given_as_often_as_it_is_asked_for() -> None:
    params, recordings = recording(), Recordings(MemoryEventLog())
    size = recordings.known_size(params)
    assert size is not None
    for _ in range(2):
        part = [piece async for piece in recordings.stream(params, size - 100, 100)]
        assert part == [bytes(100)]
    assert len(params.sentences) == MANY


async def test_many_files_of_one_principal_keep_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    recordings, made, go_on = Recordings(MemoryEventLog()), list[str](), threading.Event()
    monkeypatch.setattr("pipeline.delivery.recordings.whole_file", lambda *_, **__: b"%d" % go_on.wait(20))

    async def make(principal: str) -> None:
        await recordings.make(replace(recording(), principal=principal))
        made.append(principal)

    async with anyio.create_task_group() as tasks:
        for principal in [*["anna"] * 8, "bob"]:
            tasks.start_soon(make, principal)
        await anyio.wait_all_tasks_blocked()
        assert [recordings._places.waiting(principal) for principal in ("anna", "bob")] == [6, 1]
        go_on.set()
    assert made.index("bob") < 5


async def test_a_file_that_several_wait_for_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    params, made = recording(), list[bytes]()

    def whole(*_: object, **__: object) -> bytes:
        made.append(b"made")
        return b"made"

    monkeypatch.setattr("pipeline.delivery.recordings.whole_file", whole)
    monkeypatch.setattr("pipeline.delivery.recordings._PLACES", 1)
    recordings = Recordings(MemoryEventLog())
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(recordings.make, params)
    assert made == [b"made"]


@pytest.mark.parametrize(
    ("fmt", "made_whole"), [("mp3", True), ("opus", True), ("wav", False), ("pcm16", False)]
)
def test_a_client_that_reads_slowly_has_no_large_file_held(fmt: AudioFormat, made_whole: bool) -> None:
    parts = recording().parts  # 19 MB of PCM
    recordings = Recordings(MemoryEventLog(), small_bytes=20_000_000)
    assert recordings.small(RecordingParams(parts, fmt)) is made_whole
    assert not Recordings(MemoryEventLog(), small_bytes=19_000_000).small(RecordingParams(parts, fmt))


async def test_sentences_are_made_for_one_listener_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, made, go_on = SentenceEncoder(), list[str](), threading.Event()
    monkeypatch.setattr(
        "pipeline.delivery.sentence_audio.whole_file", lambda *_, **__: b"%d" % go_on.wait(20)
    )

    async def listen(principal: str) -> None:
        await encoder.encode(principal, "mp3", ())
        made.append(principal)

    async with anyio.create_task_group() as tasks:
        for principal in [*["anna"] * 200, "bob"]:
            tasks.start_soon(listen, principal)
        await anyio.wait_all_tasks_blocked()
        go_on.set()
    assert made.index("bob") < 5
