"""Speech to text that writes what a script says, always the same: for tests and for load tests.

The text follows from the sound, so a test that makes the sound knows the text: without a script, sound of
1.0 s holds "one two three", and the sound of 1.5 s that begins with it "one two three four".
"""

import asyncio
import hashlib
import json
import zlib
from collections import OrderedDict
from collections.abc import AsyncGenerator
from math import inf
from pathlib import Path
from typing import Final, Literal

import numpy as np
from num2words import num2words
from pydantic import BaseModel, ConfigDict, Field

from pipeline.engines.ports import Transcript, Utterance, WrittenWord
from pipeline.engines.scripted import Hanging
from pipeline.engines.slots import Slots
from pipeline.engines.stt.pcm_samples import RATE, named_language, samples, spans_of_words
from pipeline.engines.watchdog import WatchedEngine
from schemas.errors import EngineBusy, EngineDead, EngineError, EngineFailed
from schemas.settings.listening_settings import QualitySpeechToTextSettings, SpeechToTextSettings

_FRAME: Final = RATE // 50
_QUIET: Final = 1e-3
"""Frames whose root mean square is below this hold nothing."""
_BEGINNING: Final = RATE // 5
"""Speech that begins with the same 0.2 s is the same utterance, heard up to different points."""
_REMEMBERED: Final = 4_096
_ERRORS: Final[dict[str, type[EngineError]]] = {
    "engine.busy": EngineBusy,
    "engine.failed": EngineFailed,
    "engine.dead": EngineDead,
}


class ListeningScript(BaseModel):
    """Script of the speech-to-text engine: the transcripts, and when they come."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by_sha256: dict[str, str] = Field(default_factory=dict)
    """SHA-256 of the PCM bytes -> the text. Looked at first."""
    by_ms: dict[int, str] = Field(default_factory=dict)
    """Milliseconds -> the text of sound that is at most so long; the smallest that fits. Looked at next."""
    texts: tuple[str, ...] = ()
    """Texts of utterances, told apart by their first 0.2 s that are not silent. None: words are numbers."""
    pick: Literal["order", "sound"] = "order"
    """`order`: every new utterance has the next of `texts`, round and round, in each process by itself.
    `sound`: the beginning of the sound decides, so every process hears the same."""
    words_per_s: float = Field(default=3.0, gt=0)
    """A partial request hears so many words of its text for each second that is not silent."""
    deltas: bool = False
    """Send the text word by word first."""
    per_request_ms: float = Field(default=0.0, ge=0)
    per_second_ms: float = Field(default=0.0, ge=0)
    """Further work for each second of sound."""
    language: str = "en"
    """Of utterances that do not say theirs."""
    busy: int = Field(default=0, ge=0)
    """So many first requests are refused."""
    fail_times: int = Field(default=0, ge=0)
    """So many requests after those fail with `fail_code`."""
    hang: Path | None = None
    """As of the other scripted engines."""
    fail_code: Literal["engine.busy", "engine.failed", "engine.dead"] = "engine.failed"


class ScriptedSpeechToText(WatchedEngine):
    """Hears by the script, `workers` utterances at a time; a full queue is EngineBusy."""

    def __init__(
        self,
        script: Path | None,
        *,
        workers: int,
        queued: int,
        name: str = "scripted",
        stall_s: float = inf,
    ) -> None:
        given = {} if script is None else json.loads(script.read_text(encoding="utf-8"))
        self._script = ListeningScript.model_validate(given)
        super().__init__(Slots(workers, waiting=queued), stall_s)
        self._hanging = Hanging(self._script.hang, self._watchdog)
        self._name = name
        self._heard: OrderedDict[bytes, int] = OrderedDict()
        self._utterances = 0
        self.calls = 0

    @property
    def providers(self) -> tuple[str, ...]:
        return ()

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[str | Transcript, None]:
        """See `SpeechToText.transcribe`."""
        self.calls += 1
        script = self._script
        if self.calls <= script.busy:
            raise EngineBusy("The script says: busy.")
        fails = self.calls <= script.busy + script.fail_times
        async with self._slots.take():
            sound_s = len(utterance.pcm) / (2 * RATE)
            work_ms = script.per_request_ms + script.per_second_ms * sound_s
            await self._hanging.perhaps()
            await asyncio.sleep(work_ms / 1_000)
            if fails:
                raise _ERRORS[script.fail_code]("The script says: fail.")
            text, words = self._hear(utterance)
            if script.deltas:
                for number, delta in enumerate(text.split()):
                    yield f" {delta}" if number else delta
            yield Transcript(
                text=text,
                language=named_language(utterance) or script.language,
                engine=self._name,
                words=words if utterance.words else (),
                decode_ms=work_ms,
            )

    async def aclose(self) -> None:
        """Nothing to give back."""

    def _hear(self, utterance: Utterance) -> tuple[str, tuple[WrittenWord, ...]]:
        """The text, and its words spread evenly over the part that is not silent."""
        first_ms, last_ms, voiced_ms = _voiced(utterance.pcm)
        if voiced_ms == 0:
            return "", ()
        words_heard = max(1, int(voiced_ms * self._script.words_per_s / 1_000))
        beginning = utterance.pcm[2 * RATE * first_ms // 1_000 :][: 2 * _BEGINNING]
        words = self._text(utterance.pcm, beginning, words_heard).split()
        text = " ".join(words[:words_heard] if utterance.partial else words)
        spans = spans_of_words(text)
        step = (last_ms - first_ms) / max(1, len(spans))
        edges = [round(first_ms + number * step) for number in range(len(spans) + 1)]
        return text, tuple(
            WrittenWord(*span, edges[number], edges[number + 1]) for number, span in enumerate(spans)
        )

    def _text(self, pcm: bytes, beginning: bytes, words_heard: int) -> str:
        script = self._script
        if (known := script.by_sha256.get(hashlib.sha256(pcm).hexdigest())) is not None:
            return known
        ms = len(pcm) * 1_000 // (2 * RATE)
        if fitting := [longest for longest in script.by_ms if ms <= longest]:
            return script.by_ms[min(fitting)]
        if not script.texts:
            return " ".join(num2words(number).replace(" ", "-") for number in range(1, words_heard + 1))
        if script.pick == "sound":
            return script.texts[zlib.crc32(beginning) % len(script.texts)]
        return script.texts[self._number(hashlib.sha256(beginning).digest()) % len(script.texts)]

    def _number(self, beginning: bytes) -> int:
        """The utterance's place in the order in which utterances were first heard here."""
        if beginning not in self._heard:
            self._heard[beginning] = self._utterances
            self._utterances += 1
        self._heard.move_to_end(beginning)
        if len(self._heard) > _REMEMBERED:
            self._heard.popitem(last=False)
        return self._heard[beginning]


def build(settings: SpeechToTextSettings, cache: Path) -> ScriptedSpeechToText:
    """The registry's factory for the realtime way; needs no cache."""
    return ScriptedSpeechToText(
        settings.script, workers=settings.workers, queued=settings.queued, stall_s=settings.stall_s
    )


def build_quality(settings: QualitySpeechToTextSettings, cache: Path) -> ScriptedSpeechToText:
    """The registry's factory for the quality way; needs no cache."""
    return ScriptedSpeechToText(
        settings.script,
        workers=settings.batch,
        queued=settings.queued,
        name="scripted quality",
        stall_s=settings.stall_s,
    )


def _voiced(pcm: bytes) -> tuple[int, int, int]:
    """Start of the first loud frame, end of the last one, and length of all of them, in ms."""
    sound = samples(pcm)
    frames = sound[: len(sound) // _FRAME * _FRAME].reshape(-1, _FRAME)
    loud = np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > _QUIET)
    if len(loud) == 0:
        return 0, 0, 0
    return int(loud[0]) * 20, (int(loud[-1]) + 1) * 20, len(loud) * 20
