"""Events as a listener gets them, and the same with one fault."""

from collections.abc import Iterator
from typing import Any

from loadtests.client.received_events import PACKET_MS, ReceivedEvents

MINE = "Zobababababa"
Frame = tuple[dict[str, Any], bytes]


def sound(ms: int) -> bytes:
    """So much of it, in packets of three bytes."""
    return b"\x00\x03abc" * (ms // PACKET_MS)


def log_event(seq: int, kind: str, turn: int | None, /, **data: Any) -> dict[str, Any]:
    return {"seq": seq, "ts": 1_000 + seq, "turn": turn, "type": kind, "v": 1, "data": data}


def stream(texts: list[str], chunks_ms: list[list[int]]) -> list[Frame]:
    """One turn: the texts as deltas, then each sentence's chunks."""
    frames: list[Frame] = []

    def add(kind: str, turn: int | None, audio: bytes = b"", /, **data: Any) -> None:
        frames.append((log_event(len(frames) + 1, kind, turn, **data), audio))

    add("session.started", None)
    add("turn.requested", None, kind="prompt", text=f"I am {MINE}.")
    add("turn.started", 2)
    for text in texts:
        add("text.delta", 2, at=0, text=text)
    at_ms = 0
    for sentence, sizes in enumerate(chunks_ms):
        for chunk, ms in enumerate(sizes):
            add("audio.chunk", 2, sound(ms), sentence=sentence, chunk=chunk, at_ms=at_ms, ms=ms)
            at_ms += ms
        add("sentence.completed", 2, sentence=sentence, at_ms=at_ms - sum(sizes), ms=sum(sizes))
    add("text.completed", 2, chars=sum(map(len, texts)), tokens_out=1)
    add("turn.completed", 2, sentences=len(chunks_ms), audio_ms=at_ms)
    return frames


def noted(frames: list[Frame], *, late: dict[int, float] | None = None, hears: bool = True) -> ReceivedEvents:
    """The frames come 10 ms apart; `late`: seconds more before the frame at this place."""
    notes = ReceivedEvents(MINE, hears=hears)
    for (event, audio), now_s in zip(frames, _times(len(frames), late or {}), strict=True):
        notes.take(event, now_s, audio if hears else b"")
    return notes


def _times(count: int, late: dict[int, float]) -> Iterator[float]:
    now_s = 100.0
    for number in range(count):
        now_s += 0.01 + late.get(number, 0.0)
        yield now_s


def places(frames: list[Frame], kind: str) -> list[int]:
    return [number for number, (event, _) in enumerate(frames) if event["type"] == kind]
