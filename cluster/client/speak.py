"""`say`, `narrate` and `replay`: a turn's words in the terminal, its sound in a file or the speakers."""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

from cluster.client.http_client import Client
from cluster.terminal.cli_errors import CliError, UsageError
from rhapsode import audio_devices as player
from rhapsode.connection import Event

FORMATS: Final[Mapping[str, str]] = {".wav": "wav", ".mp3": "mp3", ".ogg": "opus", ".opus": "opus"}
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""A model must not be able to move the cursor or retitle the window."""


@dataclass(frozen=True, slots=True)
class SpeakParams:
    """Options of the command line."""

    url: str
    out: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    words: bool = True
    """Show the text as it comes."""


def format_of(out: Path | None) -> str | None:
    """The audio format that a file's name asks for."""
    if out is None:
        return None
    if out.suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise UsageError(f"{out.name}: an audio file's name must end in one of {known}.")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"There is no folder {out.absolute().parent}.", "Make it first.")
    return FORMATS[out.suffix.lower()]


async def ask(wish: SpeakParams, terminal: TextIO, **words: str) -> str:
    """One turn in a session of its own, `prompt=` or `text=`; the session's id."""
    audio_format = format_of(wish.out)
    async with Client(wish.url) as client:
        session = await client.create(wish.settings, title=next(iter(words.values()))[:80].splitlines()[0])
        turn = await client.request(session, **words)
        async with _speakers(wish) as sound:
            audio = "none" if sound is None else "pcm16"
            await _hear(client.events(session, turn=turn, audio=audio), wish, sound, terminal)
        if audio_format and wish.out:
            await client.download(session, audio_format, wish.out, turn)
    return session


async def replay(wish: SpeakParams, session: str, speed: float, terminal: TextIO) -> None:
    """The session as it happened, at its own pace times `speed`; 0: at once, and then without sound."""
    audio_format = format_of(wish.out)
    async with Client(wish.url) as client:
        async with _speakers(wish if speed == 1 else SpeakParams(wish.url, out=Path())) as sound:
            audio = "none" if sound is None else "pcm16"
            events = client.events(session, speed=f"{speed:g}", follow="false", audio=audio)
            await _hear(events, wish, sound, terminal)
        if audio_format and wish.out:
            await client.download(session, audio_format, wish.out)


@asynccontextmanager
async def _speakers(wish: SpeakParams) -> AsyncGenerator[player.Player | None, None]:
    """The machine's player, unless a file is wanted."""
    name = None if wish.out else player.find()
    if name is None:
        yield None
        return
    async with player.opened(name) as sound:
        yield sound


async def _hear(
    events: AsyncGenerator[Event, None], wish: SpeakParams, sound: player.Player | None, terminal: TextIO
) -> None:
    """Show and play events until they end. Raises CliError if a turn failed."""
    async with aclosing(events):
        async for event in events:
            if event.type == "turn.failed":
                raise CliError(f"The turn failed: {event.data['message']}.", f"Code: {event.data['code']}.")
            if wish.words and (text := _shown(event)):
                terminal.write(_UNSAFE.sub("", text))
                terminal.flush()
            if sound is not None and event.audio:
                await sound.play(event.audio)


def _shown(event: Event) -> str:
    """Returns the event's text for a reader; empty for most."""
    match event.type:
        case "turn.requested" if event.data["kind"] == "prompt" and event.data.get("continues") is None:
            return f"› {event.data['text']}\n\n"
        case "text.delta":
            return str(event.data["text"])
        case "sentence.failed":
            return f"\n[a sentence could not be spoken: {event.data['message']}]\n"
        case "turn.completed":
            return "\n"
        case "turn.stopped":
            return f"\n[stopped: {event.data['reason']}]\n"
        case _:
            return ""
