"""Recognises the answer that is audible now where a microphone hears it from a loudspeaker."""

from collections.abc import Callable
from functools import partial
from typing import Final

import anyio
import numpy as np
import soxr

from pipeline.audio.opus import RATE as ANSWER_RATE
from pipeline.audio.opus import OpusDecoder
from pipeline.eventlog.event_log import EventLog
from pipeline.session_state.turn_state import TurnState
from pipeline.stt.audio_ring_buffer import AudioRingBuffer
from pipeline.stt.echo import PER_MS, RATE, EchoCanceller, PlayedSound, Sound
from pipeline.stt.inputs.input_opening import InputServices
from pipeline.stt.turn_policy import spoken_over
from pipeline.stt.vad import FRAME_BYTES, FRAME_MS
from schemas.errors import LogUnavailable
from schemas.events.recorded import Recorded
from schemas.ids import Seq, SessionId

HEARD_MS: Final = 1_500
"""Of a microphone's sound, so much is compared. More of it knows the room better, and takes longer."""
_LATE_MS: Final = 2_500
"""A client plays so much later than it seems by its reports, or by the log's clock where it sends none."""
_EARLY_MS: Final = 600
_BACK_MS: Final = 250
"""A report may move the listener's place back by so much where the network delayed the one before."""
_LOOK_MS: Final = 256
"""While no answer is audible, a speaker's input asks for one so often."""
_PAGE: Final = 64
_AHEAD_MS: Final = 20_000
"""So much more than is compared may be decoded at once; a gap that is longer counts as another beginning."""
_FORGOTTEN_MS: Final = 1_000
"""So much of the sound that is no longer needed is forgotten in one go."""


class PlayedAnswer:
    """Sound of one answer around the place where it is heard, read from the log as it is needed."""

    def __init__(self, log: EventLog, session: SessionId, turn: TurnState, from_ms: int) -> None:
        self.turn = turn.turn
        self._log = log
        self._session = session
        begun = [each for each in turn.sentences if each.first_chunk is not None and each.at_ms <= from_ms]
        self._after = Seq((begun[-1].first_chunk or 1) - 1 if begun else turn.turn)
        self._decoder = OpusDecoder()
        self.sound: Sound = np.zeros(0, np.float32)
        self.at = (begun[-1].at_ms if begun else 0) * PER_MS
        """Place of its first sample in the answer."""

    def reaches(self, from_ms: int) -> bool:
        """Whether to read on for the sound from `from_ms`. Minutes of silence later, what lies between would
        be a second of decoding, for which the user who speaks then would wait; what a listener has gone back
        to is forgotten."""
        at_ms = self.at // PER_MS
        return at_ms - _BACK_MS <= from_ms <= at_ms + len(self.sound) // PER_MS

    async def read(self, from_ms: int, until_ms: int) -> None:
        """Reads on as far as `until_ms`, or as the log answers, and forgets what was before `from_ms`."""
        while self.at + len(self.sound) < until_ms * PER_MS:
            try:
                page = await self._log.read(self._session, self._after, limit=_PAGE, audio=True)
            except LogUnavailable:  # a microphone outlives that
                break
            if not page:
                break
            await anyio.to_thread.run_sync(self._add, page, (until_ms + _AHEAD_MS) * PER_MS)
            self._forget(from_ms)
        self._forget(from_ms)

    def _forget(self, from_ms: int) -> None:
        gone = min(max(0, from_ms * PER_MS - self.at), len(self.sound))
        if gone >= _FORGOTTEN_MS * PER_MS:
            self.sound, self.at = self.sound[gone:], self.at + gone

    def _add(self, page: list[Recorded], until: int) -> None:
        """Decodes events up to the sample `until`, whatever their sizes and places are."""
        pieces, end = [self.sound], self.at + len(self.sound)
        for recorded in page:
            if end >= until:
                break
            self._after = recorded.seq
            if recorded.type == "audio.chunk" and recorded.turn == self.turn:
                pcm = np.frombuffer(self._decoder.decode(recorded.audio or b""), "<i2").astype(np.float32)
                begin = recorded.data["at_ms"] * PER_MS
                gap = max(0, begin - end)
                if gap > _AHEAD_MS * PER_MS:
                    pieces, self.at, gap = [], begin, 0
                pieces += [np.zeros(gap, np.float32), soxr.resample(pcm, ANSWER_RATE, RATE)]
                end = self.at + sum(map(len, pieces))
        self.sound = np.concatenate(pieces)


class OwnVoice:
    """The answers of one session, at one microphone, whose frames it gets one after the other."""

    def __init__(self, session: SessionId, services: InputServices) -> None:
        self._session = session
        self._sessions = services.sessions
        self._log = services.log
        self._clock = services.clock
        self._new_vad = services.vad
        self._vad = services.vad()
        """Hears what is left of the microphone's sound."""
        self._heard = AudioRingBuffer(max_ms=HEARD_MS)
        self._answer: PlayedAnswer | None = None
        self._canceller = EchoCanceller()
        self._look_ms = 0
        self.echoing = False
        """An answer was found in the sound; the owner sets it back."""
        self.found = False
        """It was found in the newest frame, and is in the sound before."""

    async def take_out(
        self, frame: bytes, probability: float, is_voiced: Callable[[float], bool]
    ) -> tuple[bytes, float]:
        """The frame without the answer of this session that is audible now, and the probability of speech in
        what is left. `is_voiced` says which probabilities count."""
        self._heard.push(frame)
        self.found = False
        known = self._canceller.is_known
        if self._heard.at_ms < self._look_ms or not (known or is_voiced(probability)):
            return frame, probability
        conversation = await self._sessions.glance(self._session)
        now_ms = self._clock.now_ms()
        turn = None if conversation.paused_by == "user" else spoken_over(conversation, now_ms)
        if turn is None:
            self._canceller = EchoCanceller()
            self._look_ms = self._heard.at_ms + _LOOK_MS
            return frame, probability
        played = await self._sound_near(turn, turn.place_ms(now_ms))
        held = conversation.paused
        if self._canceller.is_known:
            self.echoing = True
            at = (self._heard.at_ms - FRAME_MS) * PER_MS
            left, is_echo = self._canceller.take_out(_sound(frame), at, played, learns=not held)
            frame = _pcm(left)
            [without] = self._vad.probabilities(frame)
            probability = 0.0 if is_echo else min(probability, without)
        if held or not is_voiced(probability) or not self._canceller.is_unsure:
            return frame, probability
        return await self._search(frame, probability, played)

    async def _search(self, frame: bytes, probability: float, played: PlayedSound) -> tuple[bytes, float]:
        at, sound = self._heard.from_ms * PER_MS, self._heard.slice(self._heard.from_ms, self._heard.at_ms)
        search = partial(self._canceller.search, _sound(sound), at, played)
        left = await anyio.to_thread.run_sync(search)
        if left is None:
            return frame, probability
        self.echoing = True
        if not len(left):
            return frame, 0.0
        self.found = True
        self._vad = self._new_vad()
        pcm = _pcm(left)
        self._vad.probabilities(pcm)
        return pcm[-FRAME_BYTES:], 0.0

    async def _sound_near(self, turn: TurnState, place_ms: int) -> PlayedSound:
        """The answer where it may be heard."""
        from_ms, until_ms = max(0, place_ms - HEARD_MS - _LATE_MS), min(place_ms + _EARLY_MS, turn.audio_ms)
        is_known = self._answer is not None and self._answer.turn == turn.turn
        if not is_known:
            self._canceller = EchoCanceller()
        if self._answer is None or not is_known or not self._answer.reaches(from_ms):
            self._answer = PlayedAnswer(self._log, self._session, turn, from_ms)
        await self._answer.read(from_ms, until_ms)
        sound, at = self._answer.sound, self._answer.at
        return PlayedSound(sound[: max(0, until_ms * PER_MS - at)], at)


def _sound(pcm: bytes) -> Sound:
    return np.frombuffer(pcm, "<i2").astype(np.float32)


def _pcm(sound: Sound) -> bytes:
    return sound.round().clip(-32_768, 32_767).astype("<i2").tobytes()
