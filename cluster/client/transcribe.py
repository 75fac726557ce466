"""`hear` and `compare`: recordings to a running system, what it understood, and how its two ways differ."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final, TextIO

import anyio

from cluster.client.http_client import Client
from cluster.terminal.cli_errors import CliError, UsageError
from cluster.terminal.console import Note, Steps
from pipeline.stt.evaluation.word_error_rate import word_errors
from rhapsode.connection import Event
from schemas.native.comparison_answers import ComparisonFailed, ComparisonProgress, ComparisonReport

_SOUND: Final = (
    *(".wav", ".mp3", ".ogg", ".opus", ".oga", ".flac", ".m4a", ".mp4", ".aac", ".webm"),
    *(".mka", ".mkv", ".aiff", ".aif", ".au", ".wma", ".amr"),
)
_LINE: Final = re.compile(r"(?:<s>)?\s*(.*?)\s*(?:</s>)?\s*\((\S+)\)\s*")
_LISTS: Final = ("transcription", "*.transcription")


@dataclass(frozen=True, slots=True)
class RecordingFile:
    """A file, and what is said in it; empty: nobody knows."""

    path: Path
    reference: str = ""


def recordings(paths: Sequence[Path], reference: str = "") -> list[RecordingFile]:
    """Files as they are, folders by what is in them. Raises CliError.

    References come from `reference`, for a single recording; from a .txt file beside it; or from a
    LibriVox-style list in its folder, named "transcription", of lines as "<s> what is said </s> (file name)".
    """
    files = [file for path in paths for file in _files(path)]
    if reference and len(files) != 1:
        advice = "Give one recording, or put a .txt file beside each one."
        raise UsageError(f"One reference cannot be that of {len(files)} recordings.", advice)
    lists: dict[Path, Mapping[str, str]] = {}
    found = []
    for file in files:
        if file.parent not in lists:
            lists[file.parent] = _listed(file.parent)
        found.append(RecordingFile(file, reference or _beside(file) or lists[file.parent].get(file.stem, "")))
    return found


def text_of(file: Path) -> str:
    """A reference. Raises CliError."""
    try:
        return " ".join(file.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as text: {error}.") from error


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        advice = "Give a recording (.wav, .mp3, .ogg, .flac, ...) or a folder of them."
        raise UsageError(f"There is no {path}.", advice)
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in _SOUND)
    if not files:
        raise UsageError(f"There are no recordings in {path}.", "Give the files by name.")
    return files


def _beside(file: Path) -> str:
    text = file.with_suffix(".txt")
    return text_of(text) if text.is_file() else ""


def _listed(folder: Path) -> Mapping[str, str]:
    listed: dict[str, str] = {}
    for pattern in _LISTS:
        for file in sorted(folder.glob(pattern)):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            listed |= {match[2]: match[1] for line in lines if (match := _LINE.fullmatch(line))}
    return listed


_OVER: Final = frozenset({"turn.completed", "turn.stopped", "turn.failed"})
_SETTLED_S: Final = 30.0
"""So long after everything was heard, what was found out beside it may still come."""


@dataclass(frozen=True, slots=True)
class TranscribeParams:
    """How to listen."""

    url: str
    listening: Mapping[str, Any] = field(default_factory=dict)

    @property
    def replies(self) -> bool:
        return bool(self.listening.get("reply", True))

    @property
    def compares(self) -> bool:
        return bool(self.listening.get("compare"))


async def hear(wish: TranscribeParams, files: Sequence[RecordingFile], terminal: TextIO, steps: Steps) -> str:
    """Listen to recordings, one after the other, in a session of their own; its id. Raises CliError."""
    async with Client(wish.url) as client:
        settings = {"listening": dict(wish.listening)}
        session = await client.create(settings, title=f"Recording: {files[0].path.name}"[:80])
        for recording in files:
            await _Listening(client, session, wish, terminal).run(recording, steps)
    return session


class _Listening:
    """To one recording."""

    def __init__(self, client: Client, session: str, wish: TranscribeParams, terminal: TextIO) -> None:
        self._client = client
        self._session = session
        self._wish = wish
        self._terminal = terminal
        self._total_ms: int | None = None
        self._ended: set[int | None] = set()
        self._finals = self._compared = self._seq = 0
        self._languages: Counter[str] = Counter()
        self._changed = anyio.Event()

    async def run(self, recording: RecordingFile, steps: Steps) -> None:
        heard: dict[str, Any] = {}
        refused: list[CliError] = []
        with steps.step(f"Listening to {recording.path.name}") as note:
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._follow, await self._client.head(self._session), note)
                    heard = await self._client.hear(self._session, recording.path, recording.reference)
                    note(f"{clock(heard['ms'])} of sound")
                    await self._until(lambda: self._seq >= heard["seq"])
                    await self._settle(heard["turn"])
                    tasks.cancel_scope.cancel()
            except* CliError as group:
                refused.extend(error for error in group.exceptions if isinstance(error, CliError))
            for error in refused:
                raise error
        self._say(_verdict(recording.reference, heard["text"], self._language))

    @property
    def _language(self) -> str:
        """That most of it was understood in."""
        return max(self._languages, key=lambda each: self._languages[each], default="en")

    async def _settle(self, turn: int | None) -> None:
        """Until the answer is there, and the other way's text, where they are wanted."""
        if turn is not None and self._wish.replies:
            await self._until(lambda: turn in self._ended)
        if self._wish.compares:
            with anyio.move_on_after(_SETTLED_S):
                await self._until(lambda: self._compared >= self._finals)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed = anyio.Event()
            await self._changed.wait()

    async def _follow(self, after: int, note: Note) -> None:
        async for event in self._client.events(self._session, after):
            self._take(event, note)
            self._seq = event.seq
            self._changed.set()
        raise CliError("The session was ended by somebody else.", "Begin again: rhapsode hear FILE.")

    def _take(self, event: Event, note: Note) -> None:
        data = event.data
        match event.type:
            case "input.opened":
                self._total_ms = data["total_ms"]
            case "input.progress":
                total = f" of {clock(self._total_ms)}" if self._total_ms else ""
                note(f"{clock(data['ms'])}{total}")
            case "transcript.final" if data["text"]:
                self._finals += 1
                self._languages[data["language"] or "en"] += len(data["text"])
                self._say(f"{clock(data['start_ms'])} – {clock(data['end_ms'])}  {data['text']}")
            case "transcript.failed":
                self._say(f"[could not be written down: {data['message']} ({data['code']})]")
            case "transcript.compared":
                self._compared += 1
                self._say("".join(f"          {line}\n" for line in _differing(data)).rstrip("\n"))
            case "text.delta":
                self._terminal.write(data["text"] if data["at"] else f"\n› {data['text']}")
            case kind if kind in _OVER:
                self._ended.add(event.turn)
                self._say("")

    def _say(self, line: str) -> None:
        self._terminal.write(f"{line}\n")
        self._terminal.flush()


def _differing(compared: Mapping[str, Any]) -> list[str]:
    one, other = (way["mode"] for way in compared["ways"])
    if not compared["differences"]:
        return [f"{one} and {other} agree"]
    return [
        f'{one} "{each["left"] or "-"}", {other} "{each["right"] or "-"}"' for each in compared["differences"]
    ]


def _verdict(reference: str, text: str, language: str) -> str:
    errors = word_errors(reference, text, language)
    if errors.rate is None:
        return ""
    return f"{errors.errors} of {errors.words} words are not as in the reference ({errors.rate:.1%}).\n"


def clock(ms: float) -> str:
    """ "1:02.3"."""
    minutes, rest = divmod(ms / 1_000, 60)
    return f"{int(minutes)}:{rest:04.1f}"


async def compare(url: str, sessions: Sequence[str], steps: Steps) -> list[ComparisonReport]:
    """Both ways again over all that the sessions have heard. Raises CliError."""
    async with Client(url) as client:
        reports = []
        for session in sessions:
            with steps.step(f"Writing session {session} down again, in both ways") as note:
                reports.append(await _compared(client, session, note))
        return reports


async def _compared(client: Client, session: str, note: Note) -> ComparisonReport:
    began = monotonic()
    async for line in client.compare(session, lambda: note("the server compares for somebody else; waiting")):
        match line:
            case ComparisonProgress():
                speed = line.at_ms / 1_000 / max(monotonic() - began, 0.1)
                place = f"{clock(line.at_ms)} of {clock(line.total_ms)}"
                note(f"{line.name or 'microphone'}: {place}, {speed:.1f} x")
            case ComparisonFailed():
                raise CliError(f"The comparison broke off: {line.message}.", f"Code: {line.code}.")
            case ComparisonReport():
                if not line.inputs:
                    raise CliError(
                        f"Session {session} has heard nothing that is still kept.",
                        "Speak to it on the page, or let it hear a file: rhapsode hear FILE.",
                    )
                note(f"{sum(len(each.utterances) for each in line.inputs)} utterances")
                return line
    raise CliError("The comparison ended without a report.", "See rhapsode status.")
