"""What the server functions of the log answer, in the log's words. No I/O."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from pipeline.eventlog.event_log import ANY, Batch, Head, Outcome, State, Verdict
from pipeline.eventlog.redis.server import Unreplicated
from schemas.events import TERMINAL
from schemas.ids import Seq, SessionId

STATES: Final[dict[bytes | None, State]] = {
    None: "live",
    b"sealed": "sealed",
    b"archived": "archived",
    b"deleted": "deleted",
}
ENDS: Final = TERMINAL | {"session.ended"}
TOO_LARGE: Final = Outcome(Verdict.TOO_LARGE, Seq(0), Seq(0))
LATER: Final = Outcome(Verdict.UNREPLICATED, Seq(0), Seq(0))
"""Not sent yet."""


def must_be_replicated(batch: Batch) -> bool:
    """Commands, of which nobody keeps a copy, and ends: an owner gives back only what is younger."""
    return batch.epoch == 0 or any(new.event.type in ENDS for new in batch.events)


def is_fresh(batch: Batch) -> bool:
    """A command that goes wherever the log ends, seen by nobody yet."""
    return batch.epoch == 0 and batch.expected == ANY and batch.mode != "create"


def certain(batch: Batch, reply: Any) -> Outcome:
    """What must have replicas and has none yet is not in the log for good."""
    if not isinstance(reply, Unreplicated):
        return outcome_of(reply)
    outcome = outcome_of(reply.reply)
    if outcome.verdict in (Verdict.OK, Verdict.DUP) and must_be_replicated(batch):
        return Outcome(Verdict.UNREPLICATED, outcome.first, outcome.last)
    return outcome


def outcome_of(reply: list[Any]) -> Outcome:
    word, first, last = reply
    return Outcome(Verdict(word.decode()), Seq(first), Seq(last))


def head_of(reply: list[Any]) -> Head | None:
    seq, epoch, generation, state = reply
    if seq is None:
        return None
    return Head(
        seq=Seq(int(seq)),
        epoch=int(epoch or 0),
        generation=(generation or b"").decode(),
        state=STATES[state],
    )


def good(replies: Iterable[Any]) -> Iterator[Any]:
    """Of servers that answered."""
    return (reply for reply in replies if not isinstance(reply, Exception))


def named(replies: Iterable[Iterable[bytes]]) -> list[SessionId]:
    return [SessionId(name.decode()) for names in replies for name in names]
