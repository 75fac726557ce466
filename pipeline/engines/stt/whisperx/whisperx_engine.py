"""The quality way: WhisperX, which decodes utterances of several callers together.

Sound longer than Whisper's window of 30 s is cut at pauses, and its pieces take their turns one by one:
an hour's recording delays other callers by one batch at most.
"""

import asyncio
import logging
import time
import warnings
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.engines.own_thread import OwnThread
from pipeline.engines.ports import Transcript, Utterance
from pipeline.engines.slots import Slots
from pipeline.engines.stt.pcm_samples import RATE, samples
from pipeline.engines.stt.whisper_weights import quality_model
from pipeline.engines.stt.whisperx.whisperx_pieces import pieces
from pipeline.engines.stt.whisperx.whisperx_words import joined
from pipeline.engines.watchdog import WatchedEngine
from schemas.errors import EngineDead, EngineFailed
from schemas.settings.listening_settings import QualitySpeechToTextSettings

if TYPE_CHECKING:
    from pipeline.engines.stt.whisperx.whisperx_model import WhisperXModel

_log: Final = logging.getLogger(__name__)
_FAILURES: Final = 3
"""After so many failures and no success between them it is not the utterances: a GPU does not recover."""

Answer = Transcript | EngineFailed
Write = Callable[[Utterance], Awaitable[Answer]]
"""Writes one piece down, maybe together with those of others."""


def build(settings: QualitySpeechToTextSettings, cache: Path) -> "WhisperX":
    """Load it, in its own environment: ImportError elsewhere. Takes ten seconds, most of them for torch."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # pyannote misses torchcodec, which reads files, of which there are none
        from pipeline.engines.stt.whisperx.whisperx_model import WhisperXModel

        cache = cache.expanduser()
        return WhisperX(WhisperXModel(settings, quality_model(settings, cache), cache), settings)


class WhisperX(WatchedEngine):
    """Satisfies SpeechToText. One thread decodes, one batch at a time: WhisperX is not made for two."""

    def __init__(self, model: "WhisperXModel", settings: QualitySpeechToTextSettings) -> None:
        super().__init__(Slots(settings.batch + settings.queued, waiting=0), settings.stall_s)
        self._model = model
        self._batch = settings.batch
        self._name = f"whisperx {Path(settings.model).name} {settings.compute_type}"
        self._thread = OwnThread("whisperx")
        self._diarizing = asyncio.Lock()
        self._failures = 0
        self.batches: deque[int] = deque(maxlen=1_000)
        """How many pieces each of the last batches had, the newest last."""

    @property
    def providers(self) -> tuple[str, ...]:
        return ()

    def check(self) -> None:
        """Raises EngineDead if nothing succeeds any more, or a batch has been at work for too long."""
        if self._failures >= _FAILURES:
            raise EngineDead("nothing can be decoded any more")
        super().check()

    async def transcribe(self, utterance: Utterance) -> AsyncGenerator[str | Transcript, None]:
        """See `SpeechToText.transcribe`."""
        async with aclosing(self.transcribe_by(self._alone, utterance)) as items:
            async for item in items:
                yield item

    async def transcribe_by(
        self, write: Write, utterance: Utterance
    ) -> AsyncGenerator[str | Transcript, None]:
        """As `transcribe`, but its pieces are written down by `write`, one after the other; a delta for each.

        Closing it leaves out the pieces that have not begun.
        """
        async with self._slots.take():
            language = utterance.language if self._model.knows(utterance.language) else None
            whole = Transcript("", language or "", self._name)
            parts: list[tuple[int, Transcript]] = []
            spoken = pieces(utterance.pcm, self._model.spoken)
            while (piece := await self._next(spoken)) is not None:
                start, end = piece
                pcm = utterance.pcm[2 * start : 2 * end]
                part = await write(replace(utterance, pcm=pcm, language=language))
                if isinstance(part, EngineFailed):
                    raise part
                parts.append((start * 1_000 // RATE, part))
                language, before, whole = part.language, whole.text, joined(parts)
                if whole.text != before:
                    yield whole.text[len(before) :]
            yield await self._with_speakers(utterance, whole)

    async def transcribe_together(self, utterances: Sequence[Utterance]) -> list[Answer]:
        """`transcribe_many` in its turn, on the engine's thread. Raises EngineDead after `aclose`."""
        return await self._thread.do(self.transcribe_many, utterances)

    def transcribe_many(self, utterances: Sequence[Utterance]) -> list[Answer]:
        """Each one's transcript or its own error, in the order given. Blocks; never two calls at a time.

        Those of one language and prompt are decoded together. None may be longer than 30 s.
        """
        answers: dict[int, Answer] = {}
        for group in _groups(utterances, self._batch):
            answers |= zip(group, self._decoded([utterances[at] for at in group]), strict=True)
        return [answers[at] for at in range(len(utterances))]

    async def aclose(self) -> None:
        """Refuse further work; utterances that wait for their turn fail with EngineDead."""
        self._thread.close()

    async def _alone(self, piece: Utterance) -> Answer:
        return (await self.transcribe_together([piece]))[0]

    async def _next(self, spoken: Iterator[tuple[int, int]]) -> tuple[int, int] | None:
        """The next piece; looked for beside the engine's thread, as the detection of speech needs no turn."""
        try:
            return await asyncio.to_thread(next, spoken, None)
        except Exception as error:  # any error of onnxruntime and numpy
            _log.warning("speech could not be looked for", exc_info=True)
            raise EngineFailed(f"WhisperX could not read this ({type(error).__name__})") from error

    def _decoded(self, utterances: Sequence[Utterance]) -> list[Answer]:
        """One batch. If it fails, each of it is tried alone: an utterance fails for its own reasons only."""
        began, cpu = time.perf_counter(), time.process_time()
        try:
            written = self._watchdog.watched(
                self._model.write,
                [samples(one.pcm) for one in utterances],
                language=utterances[0].language,
                prompt=utterances[0].prompt,
                words=any(one.words for one in utterances),
            )
        except Exception as error:  # any error of CTranslate2, torch and WhisperX
            if len(utterances) == 1:
                _log.warning("an utterance failed", exc_info=True)
                self._failures += 1
                return [EngineFailed(f"WhisperX could not write this down ({type(error).__name__})")]
            _log.warning("a batch of %d failed; each is tried alone", len(utterances))
            written = None
        if written is None:
            return [answer for one in utterances for answer in self._decoded([one])]
        self._failures = 0
        self.batches.append(len(utterances))
        ms = (time.perf_counter() - began) * 1_000
        cpu_ms = (time.process_time() - cpu) * 1_000 / len(utterances)
        return [
            Transcript(text, language, self._name, words if asked.words else (), ms, cpu_ms)
            for (text, language, words), asked in zip(written, utterances, strict=True)
        ]

    async def _with_speakers(self, utterance: Utterance, whole: Transcript) -> Transcript:
        if self._model.diarizer is None or not whole.words:
            return whole
        async with self._diarizing:
            words = await asyncio.to_thread(self._model.diarizer.named, samples(utterance.pcm), whole.words)
        return replace(whole, words=words)


def _groups(utterances: Sequence[Utterance], most: int) -> list[list[int]]:
    """The numbers of those that can be decoded together; the first to come are in the first group."""
    alike: dict[tuple[str | None, str], list[int]] = {}
    for at, one in enumerate(utterances):
        alike.setdefault((one.language, one.prompt), []).append(at)
    return [group[at : at + most] for group in alike.values() for at in range(0, len(group), most)]
