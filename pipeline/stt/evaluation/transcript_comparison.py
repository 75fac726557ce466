"""Two ways of writing the same sound down, side by side."""

import re
from difflib import SequenceMatcher

from pipeline.stt.utterance_transcriber import SpeculativeText, UtteranceTranscriber
from schemas.events.voice_events import SpeechEnded, TranscriptCompared, WayReport, WordDifference

_WORD = re.compile(r"[\w'’]+(?:[.,:]\d+)*", re.UNICODE)


def words_of(text: str) -> list[str]:
    """Words to compare, without case and punctuation; "3.50" is one."""
    return [word.casefold().replace("’", "'") for word in _WORD.findall(text)]


def differences(left: str, right: str) -> tuple[WordDifference, ...]:
    """Places at which the words of two texts differ, in order."""
    one, two = words_of(left), words_of(right)
    matcher = SequenceMatcher(a=one, b=two, autojunk=False)
    return tuple(
        WordDifference(left=" ".join(one[a:b]), right=" ".join(two[c:d]))
        for tag, a, b, c, d in matcher.get_opcodes()
        if tag != "equal"
    )


def report(written: SpeculativeText, after_ms: float) -> WayReport:
    transcript = written.transcript
    return WayReport(
        mode=written.mode,
        engine=transcript.engine,
        text=transcript.text,
        after_ms=round(after_ms, 1),
        decode_ms=round(transcript.decode_ms, 1),
        cpu_ms=round(written.cpu_ms, 1),
        revisions=written.revisions,
    )


def compared(ended: SpeechEnded, first: WayReport, second: WayReport) -> TranscriptCompared:
    return TranscriptCompared(
        input=ended.input,
        utterance=ended.utterance,
        audio_ms=ended.end_ms - ended.start_ms,
        ways=(first, second),
        words=len(words_of(first.text)),
        differences=differences(first.text, second.text),
    )


async def compare(
    transcriber: UtteranceTranscriber,
    ended: SpeechEnded,
    written: SpeculativeText,
    after_ms: float,
    waited_ms: float,
) -> TranscriptCompared:
    """Write the utterance down in the other way as well.

    That way's `after_ms` is what it would have been, had it begun when the end was clear: `waited_ms` after
    the last sound. Raises EngineError.
    """
    other = await transcriber.otherwise(written.mode)
    return compared(ended, report(written, after_ms), report(other, waited_ms + other.transcript.decode_ms))
