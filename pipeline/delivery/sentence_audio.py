"""The sound of single sentences as files of their own: what listeners of the stories face are given."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Final

from pipeline.audio.audio_files import StoredChunk, whole_file
from pipeline.audio.audio_formats import AudioFormat
from pipeline.core.fair_slots import FairPlaces
from pipeline.eventlog.event_log import EventLog
from pipeline.session_state.turn_state import SentenceState, TurnState
from pipeline.tts.normalisation.spoken_text import to_spoken
from pipeline.tts.sentence_buffer import SentenceBuffer
from pipeline.tts.sentence_language import sentence_language, usual_language
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId, TurnId
from schemas.settings import SentenceSettings, SessionSettings

_PAGE: Final = 200
_BETWEEN: Final = 8
"""Other events of the turn among a sentence's chunks, usually at most."""
_COUNTED: Final = 20_000
"""Characters that are cut beforehand to count their sentences; of a longer text these are estimated."""
_USUAL_CHARS: Final = 80
"""Of a sentence, before any is known."""


class SentenceSound:
    """Gathers a turn's audio chunk by chunk; holds one sentence at a time."""

    def __init__(self) -> None:
        self._sentence = -1
        self._chunks: list[StoredChunk] = []

    def take(self, recorded: Recorded) -> None:
        """An `audio.chunk` event, read with its audio."""
        if recorded.data["sentence"] != self._sentence:
            self._sentence, self._chunks = recorded.data["sentence"], []
        self._chunks.append(StoredChunk.of(recorded))

    def of(self, sentence: int) -> Sequence[StoredChunk]:
        """Returns the audio of this sentence so far, if it is the latest."""
        return self._chunks if sentence == self._sentence else ()


_PLACES: Final = 2
_ENCODERS: Final = ThreadPoolExecutor(_PLACES, thread_name_prefix="sentences")
"""Of their own: speech that is heard live waits for no file."""


class SentenceEncoder:
    """Makes files of single sentences, two at a time, for one principal after the other."""

    def __init__(self) -> None:
        self._places = FairPlaces(_PLACES)

    async def encode(self, principal: str, fmt: AudioFormat, chunks: Sequence[StoredChunk]) -> bytes:
        """One file for this listener; off the loop."""
        make = partial(whole_file, fmt, chunks, complete=True)
        async with self._places.place(principal):
            return await asyncio.get_running_loop().run_in_executor(_ENCODERS, make)


async def read_sentence(
    log: EventLog, session: SessionId, turn: TurnId, sentence: SentenceState
) -> list[StoredChunk]:
    """The sentence's chunks from the log."""
    chunks: list[StoredChunk] = []
    if sentence.first_chunk is None:
        return chunks
    after = Seq(sentence.first_chunk - 1)
    while missing := sentence.chunks - len(chunks):
        page = await log.read(session, after, limit=min(_PAGE, missing + _BETWEEN), audio=True)
        if not page:
            break
        chunks += [
            StoredChunk.of(r)
            for r in page
            if (r.type, r.turn) == ("audio.chunk", turn) and r.data["sentence"] == sentence.number
        ]
        after = page[-1].seq
    return chunks


def audible(turn: TurnState) -> list[SentenceState]:
    """The sentences that can be heard, in order: the n-th of them is chunk n."""
    return [sentence for sentence in turn.sentences if sentence.audible]


def finished(sentence: SentenceState) -> bool:
    """Nothing more of its sound will come."""
    return sentence.status in ("completed", "failed", "skipped")


async def total_of(turn: TurnState, text: str) -> int:
    """How many sentences of the turn will be spoken, as far as it can be told."""
    known = sum(bool(sentence.spoken) for sentence in turn.sentences)
    if turn.over:
        return known
    cut = turn.sentences[-1].end if turn.sentences else 0
    return await expected_total(text, turn.settings, cut=cut, known=known)


async def expected_total(text: str, settings: SessionSettings, *, cut: int, known: int) -> int:
    """The same of a text of which `cut` characters gave `known` sentences: exact for short ones."""
    if cut >= len(text):
        return known
    if len(text) <= _COUNTED:
        language = usual_language(settings.language, text)
        return await asyncio.to_thread(_count, text, settings.sentences, language)
    each = cut / known if known else _USUAL_CHARS
    return max(known + 1, round(len(text) / each))


@lru_cache(maxsize=64)
def _count(text: str, cutting: SentenceSettings, language: str) -> int:
    buffer = SentenceBuffer(cutting, language, being_written=False)
    fragments = [*buffer.push(text), *buffer.flush()]
    return sum(
        bool(to_spoken(each.text, sentence_language(each.text, language), code=each.code).text)
        for each in fragments
    )
