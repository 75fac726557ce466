"""Descriptions of the listening modes for users."""

from collections.abc import Sequence

from schemas.native.listening_mode_answers import ModeView


def listening_modes(realtime: str, quality: str, providers: Sequence[str]) -> tuple[ModeView, ...]:
    """`realtime`, `quality`: the engines that write down."""
    return (
        ModeView(
            mode="realtime",
            description="Listens along in short windows while you speak: for conversations.",
            latency="low: little is left to do when you stop",
            quality="good",
            engine=realtime,
            providers=tuple(providers),
        ),
        ModeView(
            mode="quality",
            description="Hears whole utterances, by the larger engine: for dictation and recordings.",
            latency="higher: the work begins when you stop",
            quality="high",
            engine=quality,
        ),
        ModeView(
            mode="legacy",
            description="As quality, and speaks only when all of the answer is there: to be compared with.",
            latency="highest: one step after the other",
            quality="high",
            engine=quality,
        ),
    )
