"""Everything of one user goes, nothing of anybody else's; and whoever looks finds nothing."""

import json
from collections.abc import AsyncGenerator
from hashlib import sha256

import pytest

from pipeline.archive.chain import FIRST_LINK, link
from pipeline.erasure import Eraser
from pipeline.log.tiered import TieredLog
from schemas.events import SessionStarted
from schemas.ids import Seq, SessionId, new_session_id
from schemas.settings import SessionSettings
from tests.archive.support import Tiers, tell, whole
from tests.log.support import ENDED, batch, delta, new

pytestmark = pytest.mark.anyio


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
    for fact in await tiers.log.archival.entries(session, Seq(0), 1_000):
        chain = link(chain, fact)
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


async def test_what_could_not_be_erased_is_not_denied(tiers: Tiers) -> None:
    session = await diary(tiers.log, "anna")

    async def forgetful(_: SessionId) -> None:
        """Says that it has, and has not."""

    proof = await Eraser(tiers.log, Listed(), forgetful, tiers.time).erase("anna")
    assert proof.found_after > 0
    assert len(await tiers.log.read(session, Seq(0))) == 61


async def test_who_has_nothing_is_erased_all_the_same(tiers: Tiers) -> None:
    await tell(tiers.log, 5)
    proof = await Eraser(tiers.log, Listed(), tiers.log.delete, tiers.time).erase("nobody at all")
    assert (proof.sessions, proof.found_after) == ((), 0)
