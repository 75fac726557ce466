"""Captions of what was said so far, as WebVTT or SubRip, from a folded conversation."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from pipeline.session_state.conversation import Conversation
from pipeline.session_state.turn_state import SentenceState, TurnState

CaptionFormat = Literal["vtt", "srt"]
_PIECE_CHARS: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption, in milliseconds of the whole recording."""

    start_ms: int
    end_ms: int
    text: str


def cues(turns: list[TurnState], *, words: bool) -> Iterator[Cue]:
    """One cue per sentence or per word; the turns' audio laid end to end, as the audio route plays it."""
    offset = 0
    for turn in turns:
        answer = turn.answer
        for sentence in turn.sentences:
            if not sentence.ms:
                continue
            for cue in _of_sentence(sentence, answer, words=words):
                yield Cue(cue.start_ms + offset, cue.end_ms + offset, cue.text)
        offset += turn.audio_ms


def _of_sentence(sentence: SentenceState, answer: str, *, words: bool) -> Iterator[Cue]:
    end_ms = sentence.at_ms + sentence.ms
    if words and sentence.words:
        yield from _of_words(sentence, answer)
    elif text := _one_line(answer[sentence.start : sentence.end]):
        yield Cue(sentence.at_ms, end_ms, text)


def _of_words(sentence: SentenceState, answer: str) -> Iterator[Cue]:
    """A cue per place of the text, which is shown once: "1906" is several words that are heard."""
    end_ms, shown, cue = sentence.at_ms + sentence.ms, sentence.start, None
    for word in sentence.words:
        if word.start_ms >= end_ms:
            break  # the sentence was cut off before this word
        until_ms = min(word.end_ms, end_ms)
        if cue is not None and word.end <= shown:
            cue = replace(cue, end_ms=max(cue.end_ms, until_ms))
        elif text := _one_line(answer[max(shown, word.start) : min(word.end, sentence.end)]):
            if cue is not None:
                yield cue
            shown, cue = word.end, Cue(word.start_ms, until_ms, text)
    if cue is not None:
        yield cue


def _one_line(text: str) -> str:
    return " ".join(text.split())


def render(
    conversation: Conversation, turns: list[TurnState], fmt: CaptionFormat, *, words: bool
) -> Iterator[str]:
    """The caption file. WebVTT: W3C WebVTT; SubRip has no standard, this is what players read."""
    return caption_file(cues(turns, words=words), fmt, title=conversation.title)


def caption_file(cues: Iterable[Cue], fmt: CaptionFormat, *, title: str = "") -> Iterator[str]:
    """Yields the file in pieces of some 64 kB: the words of a day are 15 MB, and much more as objects."""
    held: list[str] = []
    size = 0
    for number, block in enumerate(_vtt_blocks(cues, title) if fmt == "vtt" else _srt_blocks(cues)):
        held.append(f"\n\n{block}" if number else block)
        size += len(block)
        if size >= _PIECE_CHARS:
            yield "".join(held)
            held, size = [], 0
    yield "".join((*held, "\n"))


def _vtt_blocks(cues: Iterable[Cue], title: str) -> Iterator[str]:
    yield "WEBVTT" + (f" - {_escaped(_one_line(title))}" if title else "")
    for cue in cues:
        yield f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{_escaped(cue.text)}"


def _srt_blocks(cues: Iterable[Cue]) -> Iterator[str]:
    for number, cue in enumerate(cues, 1):
        yield f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n{cue.text}"


def _clock(millis: int, mark: str) -> str:
    seconds, millis = divmod(millis, 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{mark}{millis:03}"


def _escaped(text: str) -> str:
    """WebVTT cue text: & and < are markup, --> would end the cue."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
