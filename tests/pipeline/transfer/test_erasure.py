"""Everything of one user goes, nothing of anybody else's; and whoever looks finds nothing."""

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import cast

import pytest

from loadtests.servers.fork_server import end, fork
from pipeline.background.redis.aof_rewrite import Rewritten, rewrite
from pipeline.background.redis.pointers import LETTERS
from pipeline.background.redis.redis_maintenance import RedisMaintenance
from pipeline.background.redis.redis_projections import RedisProjections
from pipeline.background.redis.redis_session_rows import RedisTraces
from pipeline.background.session_directory import Directory, DirectoryRow
from pipeline.background.worker_ports import Step
from pipeline.core.clock import SystemClock
from pipeline.eventlog.archive.archival import Archival
from pipeline.eventlog.archive.segments import FIRST_LINK, link
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.redis_log import NotCertain, RedisEventLog
from pipeline.eventlog.tiered_log import TieredLog
from pipeline.rag.retrieval_service import RetrievalService
from pipeline.transfer import erasure
from pipeline.transfer.erasure import Eraser
from schemas.errors import LogError, LogUnavailable
from schemas.errors.retrieval_errors import RetrievalUnavailable
from schemas.events import SessionStarted
from schemas.ids import Seq, SessionId, new_session_id
from schemas.native.transfer_answers import ErasureProof
from schemas.settings import SessionSettings
from tests.support.eventlog.archives import Tiers, tell, whole
from tests.support.eventlog.log_events import ENDED, batch, delta, new, raw
from tests.support.eventually import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are none here whose list could become current."""
    monkeypatch.setattr(erasure, "LIST_S", 0.05)


class Listed:
    """A directory that was told by hand."""

    def __init__(self, **sessions: list[SessionId]) -> None:
        self._sessions = sessions

    async def all_of(self, principal: str) -> AsyncGenerator[SessionId, None]:
        for session in self._sessions.get(principal, []):
            yield session


async def diary(log: TieredLog, principal: str, *, sealed: bool = False) -> SessionId:
    session = new_session_id()
    started = SessionStarted(settings=SessionSettings(), principal=principal)
    await log.append(
        [
            batch(session, 1, started, producer="creator", mode="create"),
            batch(session, 1, *(new(delta(n), audio=b"sound") for n in range(60))),
        ]
    )
    if sealed:
        await log.append([batch(session, 2, ENDED, mode="seal")])
    return session


async def chain_of(tiers: Tiers, session: SessionId) -> str:
    chain = FIRST_LINK
    for event in await tiers.log.archival.entries(session, Seq(0), 1_000):
        chain = link(chain, event)
    return chain.hex()


async def test_a_user_is_erased_hot_and_archived_and_nobody_else(tiers: Tiers) -> None:
    log = tiers.log
    hot, trimmed = await diary(log, "anna"), await diary(log, "anna")
    cold, other = await diary(log, "anna", sealed=True), await diary(log, "bert", sealed=True)
    chains = {session: await chain_of(tiers, session) for session in (hot, trimmed, cold)}
    for session in (trimmed, cold, other):
        await tiers.archiver.archive(session)
    await tiers.vanish(cold)
    left = await whole(log, other)
    eraser = Eraser(log, Listed(anna=[trimmed, cold], bert=[other]), log.delete, tiers.time)
    proof = await eraser.erase("anna")
    assert {one.session_id: (one.n, one.sha256) for one in proof.sessions} == {
        hot: (61, chains[hot]),
        trimmed: (61, chains[trimmed]),
        cold: (62, chains[cold]),
    }
    assert proof.found_after == 0
    assert (proof.log_rewritten, proof.log_servers, proof.log_servers_rewritten) == (True, 1, 1)
    assert proof.principal_sha256 == sha256(b"anna").hexdigest()
    for session in (hot, trimmed, cold):
        assert await log.read(session, Seq(0)) == []
        assert tiers.files(session) == []
        [head] = await log.heads([session])
        assert head is not None
        assert head.state == "deleted"
    assert await whole(log, other) == left


async def test_a_session_that_ended_before_it_was_listed_is_found(tiers: Tiers) -> None:
    session = await diary(tiers.log, "anna", sealed=True)
    proof = await Eraser(tiers.log, Listed(), tiers.log.delete, tiers.time).erase("anna")
    assert [one.session_id for one in proof.sessions] == [session]
    assert await tiers.log.read(session, Seq(0)) == []


async def test_the_proof_is_kept_and_names_nobody(tiers: Tiers) -> None:
    await diary(tiers.log, "anna")
    proof = await Eraser(tiers.log, Listed(), tiers.log.delete, tiers.time).erase("anna")
    [note] = (tiers.root / "proofs").iterdir()
    assert json.loads(note.read_text()) == proof.model_dump(mode="json")
    assert "anna" not in note.read_text()


async def test_a_failed_erasure_is_not_denied(tiers: Tiers) -> None:
    session = await diary(tiers.log, "anna")

    async def forgetful(_: SessionId) -> None:
        """Says that it has, and has not."""

    proof = await Eraser(tiers.log, Listed(), forgetful, tiers.time).erase("anna")
    assert proof.found_after > 0
    assert len(await tiers.log.read(session, Seq(0))) == 61


async def test_nothing_is_erased_while_it_could_come_back(tiers: Tiers, archive_home: Path) -> None:
    """The log's server has no replica, and must."""
    session = await diary(tiers.log, "anna")
    hot = RedisEventLog(str(embedded_server.socket_path(archive_home)), replicas=1, patience_s=1.0)
    log = TieredLog(Archival(hot), tiers.log.archive)
    with pytest.raises(NotCertain):
        await Eraser(log, Listed(), log.delete, tiers.time).erase("anna")
    assert len(await tiers.log.read(session, Seq(0))) == 61
    assert not (tiers.root / "proofs").exists()
    await hot.aclose()


async def test_an_erasure_that_fails_midway_has_a_proof_of_what_it_did(tiers: Tiers) -> None:
    for _ in range(3):
        await diary(tiers.log, "anna")
    deleted: list[SessionId] = []

    async def fails_later(session: SessionId) -> None:
        if len(deleted) == 1:
            raise LogUnavailable("The log does not answer.")
        await tiers.log.delete(session)
        deleted.append(session)

    with pytest.raises(LogUnavailable):
        await Eraser(tiers.log, Listed(), fails_later, tiers.time).erase("anna")
    [note] = (tiers.root / "proofs").iterdir()
    half = ErasureProof.model_validate_json(note.read_text())
    assert (half.found_after, half.log_rewritten, len(half.sessions)) == (1, False, 2)
    tiers.time.ms += 1_000
    rest = await Eraser(tiers.log, Listed(), tiers.log.delete, tiers.time).erase("anna")
    assert (rest.found_after, rest.log_rewritten, len(rest.sessions)) == (0, True, 2)
    assert len({one.session_id for one in (*half.sessions, *rest.sessions)}) == 3


async def test_a_log_that_goes_away_after_the_last_deletion_takes_no_proof_along(
    tiers: Tiers, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await diary(tiers.log, "anna")

    async def away(log: RedisEventLog, within_s: float) -> Rewritten:
        raise LogError("The server refuses.")

    monkeypatch.setattr(erasure, "rewrite", away)
    proof = await Eraser(tiers.log, Listed(), tiers.log.delete, tiers.time).erase("anna")
    [note] = (tiers.root / "proofs").iterdir()
    assert ErasureProof.model_validate_json(note.read_text()) == proof
    assert [one.session_id for one in proof.sessions] == [session]
    assert (proof.found_after, proof.log_rewritten, proof.log_servers) == (0, False, 0)


async def test_a_log_that_is_away_has_written_nothing_anew(socket_folder: Path) -> None:
    log = RedisEventLog(str(socket_folder / "nobody.sock"), patience_s=0.1)
    assert await rewrite(log, 1) == Rewritten(0, 0)
    await log.aclose()


async def test_a_user_who_has_nothing_is_erased_all_the_same(tiers: Tiers) -> None:
    await tell(tiers.log, 5)
    proof = await Eraser(tiers.log, Listed(), tiers.log.delete, tiers.time).erase("nobody at all")
    assert (proof.sessions, proof.found_after) == ((), 0)


async def rows_of(tiers: Tiers, sessions: Sequence[SessionId]) -> None:
    """As the workers write them: they have been here, and are not any more."""
    hot = tiers.log.hot
    keys = await hot.keys()
    for session in sessions:
        [first] = await tiers.log.read(session, Seq(0), limit=1)
        row = replace(DirectoryRow.begin(first), title="her words")
        for change in row.written(session):
            name = keys.beside(keys.partition(session), change.key)
            await hot.call((change.command, name, *change.arguments))


@pytest.mark.parametrize("where", ["archive", "rows"])
async def test_an_eraser_that_is_killed_leaves_nothing_that_the_next_one_does_not_find(
    tiers: Tiers, archive_home: Path, where: str
) -> None:
    sessions = [await diary(tiers.log, "anna", sealed=True) for _ in range(3)]
    for session in sessions:
        await tiers.archiver.archive(session)
    await rows_of(tiers, sessions)
    home = tiers.root.parent
    address = str(embedded_server.socket_path(archive_home))
    killed = fork("tests.pipeline.transfer.erasing_process", address, str(home), "anna", where)
    try:
        await eventually((home / "standing").exists)
    finally:
        end(killed)
    directory = Directory(tiers.log.hot)
    assert [session async for session in directory.all_of("anna")]
    proof = await Eraser(tiers.log, directory, tiers.log.delete, SystemClock()).erase("anna")
    assert proof.found_after == 0
    assert [session async for session in directory.all_of("anna")] == []
    assert [tiers.files(session) for session in sessions] == [[], [], []]
    with raw(archive_home) as server:
        assert all(not server.hvals(name) for name in server.scan_iter("ev:{p*}:d"))


async def test_a_row_that_a_worker_made_before_the_erasure_is_not_written_after_it(tiers: Tiers) -> None:
    hot = tiers.log.hot
    session = await diary(tiers.log, "anna")
    keys = await hot.keys()
    partition = keys.partition(session)
    worker = RedisProjections(hot)
    lease = {one.partition: one for one in await worker.lease("directory", "w", ttl_s=60)}[partition]
    [first] = await tiers.log.read(session, Seq(0), limit=1)
    made = Step(await worker.end(partition), DirectoryRow.begin(first).written(session))
    await Eraser(tiers.log, Listed(), tiers.log.delete, tiers.time).erase("anna")
    assert not await worker.advance("directory", lease, made)
    assert await Directory(hot).rows([session]) == [None]
    again = {one.partition: one for one in await worker.lease("directory", "w", ttl_s=60)}[partition]
    assert await worker.advance("directory", again, Step(made.to))
    await worker.aclose()


async def test_dead_letters_of_erased_sessions_go_with_them(tiers: Tiers) -> None:
    hot = tiers.log.hot
    session, other = await diary(tiers.log, "anna"), await diary(tiers.log, "bert")
    keys = await hot.keys()
    for one in (session, other):
        fields = {"k": "effect", "g": "auto_play", "s": one, "q": "1", "t": "session.started"}
        flat = [part for pair in {**fields, "e": "her words", "n": "5", "f": "1"}.items() for part in pair]
        await hot.call(("XADD", keys.beside(keys.partition(one), LETTERS), "*", *flat))
    await Eraser(tiers.log, Listed(), tiers.log.delete, tiers.time).erase("anna")
    left = await RedisMaintenance(hot).letters(None, 10)
    assert [letter.session for letter in left] == [other]


async def test_a_list_that_is_behind_only_with_what_came_since_is_current(tiers: Tiers) -> None:
    """Under constant load some worker is always a little behind."""
    hot = tiers.log.hot
    traces = RedisTraces(hot)
    assert await traces.reached(await traces.ends())
    session = await diary(tiers.log, "bert")
    ends = await traces.ends()
    assert not await traces.reached(ends)
    worker, keys = RedisProjections(hot), await hot.keys()
    partition = keys.partition(session)
    lease = {one.partition: one for one in await worker.lease("directory", "w", ttl_s=60)}[partition]
    assert await worker.advance("directory", lease, Step(await worker.end(partition)))
    await worker.aclose()
    assert await traces.reached(ends)
    while keys.partition(await diary(tiers.log, "carl")) != partition:
        pass
    assert await traces.reached(ends)
    assert not await traces.reached(await traces.ends())


class Away:
    """A library that cannot be reached, but for what it is told to do."""

    def __init__(self, *dropped: SessionId) -> None:
        self.dropped = list(dropped)

    async def drop(self, collection: str) -> bool:
        return collection in self.dropped

    async def scrub(self) -> bool:
        raise RetrievalUnavailable("the documents cannot be reached")

    async def views(self, collection: str) -> list[object]:
        raise RetrievalUnavailable("the documents cannot be reached")


async def test_documents_that_nobody_could_look_for_are_pending(tiers: Tiers) -> None:
    session = await diary(tiers.log, "anna")
    await rows_of(tiers, [session])
    await tiers.log.delete(session)  # by an erasure that was killed before it came to the documents
    directory = Directory(tiers.log.hot)
    library = cast("RetrievalService", Away(session))
    proof = await Eraser(tiers.log, directory, tiers.log.delete, tiers.time, library=library).erase("anna")
    [documents] = [place for place in proof.places if place.place == "documents"]
    assert (documents.state, documents.found, proof.found_after) == ("pending", 1, 1)
