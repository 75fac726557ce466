"""A microphone that hears an answer from a loudspeaker in its room, and a user who speaks over it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from loadtests.bench.turns.living_room import Sound, at_level, room_response
from pipeline.stt.echo import FRAME, PER_MS, EchoCanceller, PlayedSound
from pipeline.stt.endpointing import Endpointer
from pipeline.stt.inputs.own_voice import HEARD_MS
from pipeline.stt.vad import FRAME_MS, SileroVad
from schemas.settings.listening_settings import ListeningSettings

_LATE_MS: Final = 2_500
_EARLY_MS: Final = 600
_ROOM_TONE: Final = 12.0
_VOICED: Final = 0.35


@dataclass(frozen=True)
class EchoRoom:
    """Sound of a microphone that hears an answer and a user."""

    heard: Sound
    answer: Sound
    echo: Sound

    @classmethod
    def of(
        cls,
        answer: Sound,
        user: Sound,
        *,
        user_ms: int,
        echo_db: float | None,
        delay_ms: int = 60,
        seed: int = 7,
        echo_s: float = 0.45,
    ) -> "EchoRoom":
        """`echo_db`: None where the answer is heard with headphones. The user begins at `user_ms`."""
        dice = np.random.default_rng(seed)
        echo = np.zeros_like(answer)
        if echo_db is not None:
            way = np.concatenate([np.zeros(delay_ms * PER_MS, np.float32), room_response(dice, echo_s)])
            echo = at_level(np.convolve(answer, way)[: len(answer)].astype(np.float32), echo_db)
        heard = echo + dice.normal(0.0, _ROOM_TONE, len(answer)).astype(np.float32)
        heard[user_ms * PER_MS :][: len(user)] += user[: len(heard) - user_ms * PER_MS]
        return cls(heard, answer, echo)

    def without_echo(self, estimate_ms: int = 400) -> tuple[list[float], Sound]:
        """Probabilities of speech, and the sound that is left, as an audio input has them.

        `estimate_ms`: the answer seems so much further on than it is.
        """
        canceller, vad = EchoCanceller(), SileroVad()
        probabilities, sound = [], []
        for number, probability in enumerate(self.raw_probabilities()):
            start, end = number * FRAME, (number + 1) * FRAME
            frame, played = self.heard[start:end], self._played_near(end + estimate_ms * PER_MS)
            if canceller.is_known:
                frame, is_echo = canceller.take_out(frame, start, played)
                [without] = vad.probabilities(as_pcm(frame))
                probability = 0.0 if is_echo else min(probability, without)
            if probability > _VOICED and canceller.is_unsure:
                first = max(0, end - HEARD_MS * PER_MS)
                left = canceller.search(self.heard[first:end], first, played)
                if left is not None:
                    probability = 0.0
                if left is not None and len(left):
                    vad.reset()
                    vad.probabilities(as_pcm(left))
                    frame = left[-FRAME:]
            probabilities.append(probability)
            sound.append(frame)
        return probabilities, np.concatenate(sound)

    def raw_probabilities(self) -> list[float]:
        """Of speech in the microphone's sound as it is."""
        return SileroVad().probabilities(as_pcm(self.heard[: len(self.heard) // FRAME * FRAME]))

    def _played_near(self, place: int) -> PlayedSound:
        first = max(0, place - (HEARD_MS + _LATE_MS) * PER_MS)
        return PlayedSound(self.answer[first : max(0, place + _EARLY_MS * PER_MS)], first)


def as_pcm(sound: Sound) -> bytes:
    """16-bit samples."""
    return sound.round().clip(-32_768, 32_767).astype("<i2").tobytes()


def holds_ms(probabilities: Sequence[float]) -> list[int]:
    """Places at which speech would hold the answer."""
    settings = ListeningSettings()
    endpointer, found, before_ms = Endpointer(settings.ends), [], 0
    for number, probability in enumerate(probabilities):
        endpointer.push(probability)
        if endpointer.speech_ms >= settings.hold_ms > before_ms:
            found.append((number + 1) * FRAME_MS)
        before_ms = endpointer.speech_ms
    return found
