"""The short form of `make chaos`: gateways are killed and frozen, connections cut, the log server killed."""

from pathlib import Path

import pytest

from loadtests.chaos.chaos_command import ChaosPlan, run
from loadtests.chaos.chaos_run import AcceptedTurn, ListenerRecord, judge
from schemas.events import TextDelta, TurnCompleted, TurnRequested, TurnStarted, payload
from schemas.events.recorded import Recorded
from schemas.ids import NO_TURN, Seq, TurnId
from schemas.settings import SessionSettings

pytestmark = pytest.mark.anyio

PLAN = ChaosPlan(
    people=4, gateways=2, owner_kills=3, log_kills=1, zombies=1, cuts=60, every_s=1.0, cut_after=24
)


@pytest.mark.long
async def test_nothing_is_lost_or_doubled_while_owners_and_the_log_die(tmp_path: Path) -> None:
    report = await run(PLAN, tmp_path, print)
    found = report.findings
    assert (found.lost, found.doubled, found.disordered, found.wrong) == ([], [], [], [])
    assert report.owner_kills == 3
    assert report.system.zombies == 1
    assert len(report.system.log_kills) == 1
    assert report.callers.cuts >= 60
    assert report.takeovers_ms or report.dark_takeovers_ms


# ---------------------------------------------------------------- the judge is not blind


def a_turn() -> list[Recorded]:
    settings = SessionSettings(speak=False)
    events = [
        TurnRequested(kind="prompt", text="Well?", settings=settings),
        TurnStarted(epoch=1),
        TextDelta(at=0, text="One "),
        TextDelta(at=4, text="two."),
        TurnCompleted(sentences=0, audio_ms=0),
    ]
    turns = [NO_TURN, *[TurnId(1)] * 4]
    return [
        Recorded(Seq(n), 0, turn, event.type, event.v, payload(event))
        for n, (event, turn) in enumerate(zip(events, turns, strict=True), 1)
    ]


ASKED = AcceptedTurn("s", 1, "key", "One two.")


def heard(events: list[Recorded]) -> ListenerRecord:
    return ListenerRecord("s", [event.to_dict() for event in events])


def test_the_judge_finds_nothing_where_nothing_is() -> None:
    assert judge({"s": a_turn()}, [heard(a_turn())], [ASKED]).fine


def test_the_judge_finds_what_a_listener_missed_and_heard_twice() -> None:
    events = a_turn()
    found = judge({"s": events}, [heard(events[:2] + events[3:]), heard(events[:2] + events[1:])], [ASKED])
    assert len(found.lost) == 1
    assert len(found.doubled) == 1


def test_the_judge_finds_another_word_than_in_the_log() -> None:
    events = a_turn()
    other = Recorded(Seq(3), 0, TurnId(1), "text.delta", 1, {"at": 0, "text": "Two "})
    assert judge({"s": events}, [heard([*events[:2], other, *events[3:]])], [ASKED]).wrong


@pytest.mark.parametrize("index", [2, 3, 4])
def test_the_judge_finds_what_the_log_lost(index: int) -> None:
    events = a_turn()
    del events[index]
    assert not judge({"s": events}, [], [ASKED]).fine


def test_the_judge_finds_a_second_end_and_a_second_wish() -> None:
    events = a_turn()
    twice = [*events, Recorded(Seq(6), 0, TurnId(1), "turn.failed", 1, dict(events[4].data))]
    assert judge({"s": twice}, [], [ASKED]).wrong
    again = [*events, Recorded(Seq(6), 0, NO_TURN, "turn.requested", 1, dict(events[0].data))]
    assert judge({"s": again}, [], [ASKED]).doubled


def test_the_judge_finds_an_accepted_turn_that_is_not_there() -> None:
    assert judge({"s": a_turn()}, [], [ASKED, AcceptedTurn("s", 7, "other", "")]).lost
