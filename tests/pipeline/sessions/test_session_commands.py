"""A command becomes a turn as it is, or is refused with a reason."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest

from pipeline.admission.allowance import Allowance
from pipeline.core.clock import SystemClock
from pipeline.eventlog.event_log import Batch, Outcome, Tail
from pipeline.eventlog.recorder import Recorder
from pipeline.eventlog.tailer import Tailer
from pipeline.session_state.session_views import SessionViews
from pipeline.sessions.catalog import Catalog
from pipeline.sessions.session_commands import HeardLedger, Overtaken, Sessions, SpokenQuestion
from schemas.errors import (
    InputError,
    InputTooLong,
    LogUnavailable,
    RhapsodeError,
    SessionAlreadyEnded,
    TurnNotReplaceable,
    TurnQueueFull,
    UnknownFunction,
    UnknownVoice,
)
from schemas.errors.access_errors import StoredQuota, WriteLimit
from schemas.events import (
    AudioChunk,
    Event,
    MemberAdded,
    PlaybackPaused,
    SentenceReady,
    SessionEndRequested,
    SessionRenamed,
    SessionStarted,
    SettingsChanged,
    TextDelta,
    TurnCompleted,
    TurnRequested,
    TurnStarted,
)
from schemas.events.voice_events import InputAudio
from schemas.ids import Seq, SessionId, TurnId, new_session_id
from schemas.native.client_commands import AcknowledgePlayback, Control, RequestTurn, SettingsPatch
from schemas.settings.limit_settings import LimitSettings
from schemas.settings.model_settings import ToolSettings
from schemas.speech_style import PronunciationEntry
from tests.pipeline.sessions.test_session_owner import QUIET, gateway
from tests.support.eventlog.memory_log import MemoryEventLog
from tests.support.memory_meter import MemoryMeter

pytestmark = pytest.mark.anyio
LIMITS = LimitSettings(prompt_chars=20)


CHOICES = Catalog(
    QUIET,
    {"local": {QUIET.voice: ("en-US",)}},
    functions=("locks_open",),
    reserved={"locks_open": ("ann",)},
)


@asynccontextmanager
async def asking(choices: Catalog = CHOICES) -> AsyncGenerator[tuple[Sessions, Recorder, SessionId], None]:
    """A session in which something can be asked."""
    log, session = MemoryEventLog(), new_session_id()
    async with (
        Recorder(log) as recorder,
        Tailer(log) as tailer,
        gateway(log, recorder) as owners,
        HeardLedger(recorder, SystemClock()) as ledger,
    ):
        await recorder.post(session, SessionStarted(settings=QUIET), mode="create")
        yield (
            Sessions(
                SessionViews(log),
                recorder,
                tailer,
                owners,
                ledger,
                allowance=Allowance(MemoryMeter(), LIMITS),
                choices=choices,
            ),
            recorder,
            session,
        )


async def test_a_question_that_is_too_long_is_not_cut() -> None:
    async with asking() as (sessions, _, session):
        with pytest.raises(InputTooLong, match="21 characters"):
            await sessions.say(session, SpokenQuestion("?" * 21, "i", (0,)), key="long")


@pytest.mark.parametrize(
    ("named", "error"),
    [
        ({"tools": ToolSettings(registered=("locks_open",))}, UnknownFunction),
        ({"voice": "nobody"}, UnknownVoice),
    ],
)
async def test_a_spoken_question_is_asked_in_no_settings_that_a_typed_one_may_not_have(
    named: dict[str, object], error: type[RhapsodeError]
) -> None:
    """The settings of an imported session, or of a copy of somebody else's, may name anything."""
    async with asking() as (sessions, recorder, session):
        await recorder.post(session, SettingsChanged(settings=QUIET.model_copy(update=named)))
        with pytest.raises(error):
            await sessions.request(session, RequestTurn(prompt="Why?"))
        with pytest.raises(error):
            await sessions.say(session, SpokenQuestion("Why?", "i", (0,)), key="why")


AUTOMATIC = QUIET.model_copy(update={"language": "auto"})


async def languages_of(sessions: Sessions, session: SessionId) -> list[str]:
    conversation, _ = await sessions.view(session)
    return [turn.settings.language for turn in conversation.turns.values()]


@pytest.mark.parametrize("heard", ["fr", "de", "any text"])
async def test_an_automatic_session_answers_in_the_heard_language_if_a_voice_speaks_it(heard: str) -> None:
    async with asking(Catalog(QUIET, {"local": {QUIET.voice: ("en-US", "fr")}})) as (
        sessions,
        recorder,
        session,
    ):
        await recorder.post(session, SettingsChanged(settings=AUTOMATIC))
        await sessions.say(session, SpokenQuestion("Sure.", "i", (0,), language=heard), key="why")
        assert await languages_of(sessions, session) == ["fr" if heard == "fr" else "en"]


async def test_a_question_whose_language_is_in_doubt_is_in_that_of_the_turn_before_it() -> None:
    async with asking() as (sessions, recorder, session):
        await recorder.post(session, SettingsChanged(settings=AUTOMATIC))
        for prompt in ("Ok.", "Wie weit ist es?", "Danke!", "42?", "¿Dónde está el mar?", "Si.", "𐎀𐎁𐎂"):
            await sessions.request(session, RequestTurn(prompt=prompt))
        assert await languages_of(sessions, session) == ["en", "de", "de", "de", "es", "es", "auto"]
        await sessions.request(session, RequestTurn(prompt="Ok.", settings=SettingsPatch(language="fr")))
        await sessions.request(session, RequestTurn(prompt="Ok."))
        assert (await languages_of(sessions, session))[-2:] == ["fr", "fr"]


@pytest.mark.parametrize(
    ("language", "spoken", "asked"),
    [("de", ("en-US",), "de"), ("auto", ("de",), "de"), ("auto", ("*",), "en"), ("auto", (), "en")],
)
async def test_the_first_question_in_doubt_is_in_the_language_of_the_server_or_its_voice(
    language: str, spoken: tuple[str, ...], asked: str
) -> None:
    defaults = QUIET.model_copy(update={"language": language})
    async with asking(Catalog(defaults, {"local": {QUIET.voice: spoken}})) as (sessions, recorder, session):
        await recorder.post(session, SettingsChanged(settings=AUTOMATIC))
        await sessions.request(session, RequestTurn(prompt="Ok."))
        assert await languages_of(sessions, session) == [asked]


async def test_a_pronunciation_that_was_taken_before_ipa_was_checked_refuses_nothing_else() -> None:
    async with asking() as (sessions, recorder, session):
        old = QUIET.model_copy(update={"pronunciations": (PronunciationEntry(word="Łódź", ipa="/wut͡ɕ/"),)})
        await recorder.post(session, SettingsChanged(settings=old))
        await sessions.request(session, RequestTurn(prompt="Why?"))
        await sessions.update(session, SettingsPatch(max_tokens=5))
        new = SettingsPatch(pronunciations=(*old.pronunciations, PronunciationEntry(word="Gdańsk", ipa="12")))
        with pytest.raises(InputError) as refused:
            await sessions.update(session, new)
        assert refused.value.field == "settings.pronunciations.1.ipa"


async def test_an_answer_that_is_heard_by_now_is_not_taken_up() -> None:
    async with asking() as (sessions, recorder, session):
        wish = TurnRequested(kind="prompt", text="One.", settings=QUIET, input="i")
        turn = TurnId((await recorder.post(session, wish)).last)
        chunk = AudioChunk(sentence=0, chunk=0, at_ms=0, ms=100, bytes=9)
        ready = SentenceReady(sentence=0, start=0, end=4, spoken="Yes.")
        await recorder.post(session, TurnStarted(epoch=1), ready, chunk, turn=turn)
        with pytest.raises(Overtaken):
            await sessions.say(session, SpokenQuestion("One. Two.", "i", (0, 1), turn), key="late")


async def test_reports_of_what_was_heard_are_charged_as_often_as_they_are_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those of thousands of turns would fill the log beside every quota."""
    charged: list[tuple[str, int]] = []

    async def written(principal: str, size: int, *, room: bool = True) -> None:
        if len(charged) == 3:
            raise WriteLimit("at most 512 MB are allowed", retry_after_s=1.0)
        charged.append((principal, size))

    async with asking() as (sessions, recorder, session):
        monkeypatch.setattr(sessions._allowance, "written", written)
        turns: list[TurnId] = []
        for _ in range(4):
            wish = TurnRequested(kind="text", text="Yes.", settings=QUIET)
            turns.append(TurnId((await recorder.post(session, wish)).last))
            chunk = AudioChunk(sentence=0, chunk=0, at_ms=0, ms=1_000, bytes=9)
            ready = SentenceReady(sentence=0, start=0, end=4, spoken="Yes.")
            await recorder.post(session, TurnStarted(epoch=1), ready, chunk, turn=turns[-1])
        for ms in (100, 200, 300):
            await sessions.heard(session, AcknowledgePlayback(turn=turns[0], heard_ms=ms))
        assert len(charged) == 2
        await sessions.heard(session, AcknowledgePlayback(turn=turns[1], heard_ms=100))
        await sessions.heard(session, AcknowledgePlayback(turn=turns[2], heard_ms=100))
        await sessions.all_heard(session)
        conversation, _ = await sessions.view(session)
        assert [conversation.turns[turn].heard_ms for turn in turns[1:]] == [100, None, None]


async def test_a_glance_at_a_session_that_is_followed_asks_the_log_only_about_news(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with asking() as (sessions, recorder, session):
        log, asked = sessions._views.log, 0
        tail = log.tail

        async def counted(session: SessionId, after: Seq) -> Tail:
            nonlocal asked
            asked += 1
            return await tail(session, after)

        monkeypatch.setattr(log, "tail", counted)
        assert not (await sessions.glance(session)).paused
        assert not (await sessions.glance(session)).paused
        assert asked == 2, "nobody follows it here"
        async with sessions._tailer.follow(session, Seq(1)) as batches:
            sound = InputAudio(input="i", at_ms=0, ms=500, bytes=0, sha256="0" * 64)
            await recorder.post(session, sound)
            await anext(batches)
            assert not (await sessions.glance(session)).paused
            assert asked == 2
            await recorder.post(session, PlaybackPaused(by="user"))
            await anext(batches)
            assert (await sessions.glance(session)).paused
            assert (await sessions.glance(session)).paused
            assert asked == 3
            await sessions.control(session, Control(action="resume"))
            assert not (await sessions.glance(session)).paused, "what this process wrote is known at once"


async def test_two_requests_that_saw_the_same_head_do_not_pass_the_same_check() -> None:
    async with asking() as (sessions, _, session):
        await sessions._owners.hand_over(0)  # so that no turn is over meanwhile
        _, seen = await sessions.view(session)
        for number in range(LIMITS.queued_turns + 1):
            await sessions.request(session, RequestTurn(prompt=f"{number}?"), seen=seen)
        with pytest.raises(TurnQueueFull):
            await sessions.request(session, RequestTurn(prompt="One more?"), seen=seen)


@pytest.mark.parametrize(
    ("crossing", "taken"),
    [
        (TurnRequested(kind="prompt", text="Two?", settings=QUIET), False),
        (SessionRenamed(title="Questions"), True),
    ],
)
async def test_another_version_is_asked_of_the_conversation_as_it_is_when_it_is_recorded(
    monkeypatch: pytest.MonkeyPatch, crossing: Event, taken: bool
) -> None:
    """Another gateway's event comes between the look and the record: a question would lose its own words."""
    async with asking() as (sessions, recorder, session):
        await sessions._owners.hand_over(0)
        wish = TurnRequested(kind="prompt", text="One?", settings=QUIET)
        first = TurnId((await recorder.post(session, wish)).last)
        answer = TurnStarted(epoch=1), TextDelta(at=0, text="Yes."), TurnCompleted(sentences=0, audio_ms=0)
        await recorder.post(session, *answer, turn=first)

        async def charged(principal: str, chars: int, *, size: int = 0) -> None:
            await recorder.post(session, crossing)

        monkeypatch.setattr(sessions._allowance, "turn", charged)
        again = RequestTurn(prompt="One, rather?", replaces=first)
        if taken:
            turn = await sessions.request(session, again)
            conversation, _ = await sessions.view(session)
            assert (conversation.turns[turn].place, conversation.title) == (first, "Questions")
            return
        with pytest.raises(TurnNotReplaceable):
            await sessions.request(session, again)


async def test_a_command_that_leaves_nothing_to_do_wakes_no_owner() -> None:
    async with asking() as (sessions, recorder, session):
        await sessions.control(session, Control(action="pause"))
        assert sessions._owners.owned == 0
        wish = TurnRequested(kind="prompt", text="One.", settings=QUIET)
        await recorder.post(session, wish)
        await sessions.control(session, Control(action="pause"))
        assert sessions._owners.owned == 1


async def test_a_pause_is_resumed_once_also_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(principal: str, size: int, *, room: bool = True) -> None:
        raise StoredQuota("delete some")

    async with asking() as (sessions, _, session):
        await sessions.control(session, Control(action="pause"))
        monkeypatch.setattr(sessions._allowance, "written", full)
        await sessions.control(session, Control(action="resume"))
        assert not (await sessions.glance(session)).paused
        for action in ("resume", "pause"):
            with pytest.raises(StoredQuota):
                await sessions.control(session, Control(action=action))


@pytest.mark.parametrize(("by", "told"), [("bob", "bob"), ("", ""), ("root", "")])
async def test_a_stop_names_the_member_that_wants_it(by: str, told: str) -> None:
    async with asking() as (sessions, recorder, session):
        await sessions._owners.hand_over(0)  # so that no turn is over meanwhile
        await recorder.post(session, MemberAdded(principal="bob"))
        await sessions.request(session, RequestTurn(prompt="One?"))
        stop = await sessions.control(session, Control(action="stop"), by=by)
        [stopped] = await sessions._views.log.read(session, Seq(stop - 1), limit=1)
        assert stopped.data == {"reason": "user", "by": told}


async def test_a_key_that_another_gateway_took_gets_its_answer_while_the_queue_is_full() -> None:
    async with asking() as (sessions, _, session):
        await sessions._owners.hand_over(0)  # so that no turn is over meanwhile
        for number in range(LIMITS.queued_turns + 1):
            turn = await sessions.request(session, RequestTurn(prompt=f"{number}?", key=f"{number}"))
        sessions._asked.clear()  # as in a gateway that has not seen these keys
        _, before = await sessions.view(session)
        assert await sessions.request(session, RequestTurn(prompt="8?", key="8")) == turn
        with pytest.raises(TurnQueueFull):
            await sessions.request(session, RequestTurn(prompt="8?", key="another"))
        _, after = await sessions.view(session)
        assert after.seq == before.seq


async def test_a_key_that_was_taken_is_answered_after_the_session_has_ended() -> None:
    async with asking() as (sessions, recorder, session):
        await sessions._owners.hand_over(0)
        turn = await sessions.request(session, RequestTurn(prompt="One?", key="one"))
        sessions._asked.clear()
        await recorder.post(session, SessionEndRequested(reason="done"))
        assert await sessions.request(session, RequestTurn(prompt="One?", key="one")) == turn
        with pytest.raises(SessionAlreadyEnded):
            await sessions.request(session, RequestTurn(prompt="One?", key="two"))


async def test_a_log_that_is_away_is_not_asked_for_the_key_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request waited for the log's patience twice, and held up the session's other commands."""
    async with asking() as (sessions, recorder, session):
        await sessions._owners.hand_over(0)
        asked = []

        async def away(batches: Sequence[Batch]) -> list[Outcome]:
            asked.append(batches)
            raise LogUnavailable("The log does not answer.")

        with monkeypatch.context() as outage:
            outage.setattr(recorder._log, "append", away)
            with pytest.raises(LogUnavailable):
                await sessions.request(session, RequestTurn(prompt="One?", key="one"))
        assert len(asked) == 1
        assert await sessions.request(session, RequestTurn(prompt="One?", key="one"))
