"""How often a television in the room holds an answer, and how soon the user's own voice does, by level."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soxr

from loadtests.bench.turns.hesitant_speech import LANGUAGES, PROMPT_FOLDER, prompt
from loadtests.bench.turns.living_room import Sound, active_db, in_room
from loadtests.bench.voice.spoken_samples import spoken
from loadtests.client.recorded_speech import RATE, available, cards, librivox
from loadtests.report.tables import commit, machine, markdown, percentile, when
from pipeline.engines.registry import build_text_to_speech
from pipeline.stt.endpointing import Dropped, Ended, Endpointer
from pipeline.stt.speaker_level import SpeakerLevel, UtteranceLevel
from pipeline.stt.vad import FRAME_BYTES, FRAME_MS, EnergyGate
from schemas.settings import AppSettings
from schemas.settings.listening_settings import EndpointingSettings, ListeningSettings

_OWN_TEXTS: Final = (
    "Tell me something about the history of this town.",
    "I would like to know when the next train leaves.",
    "Could you explain that in simpler words?",
    "Stop.", "Wait.", "Stop it.", "Hold on.", "Wait a moment.", "No, that is wrong.", "What do you mean?",
    "Can you repeat that?", "Stop talking, please.", "Why is that?", "How much does it cost?",
    "Not that one.",
)  # fmt: skip
_LONG: Final = 3
"""The first of them are questions; the others are said over an answer."""
_PROMPTS: Final = 12
_NOISE: Final = 12.0
_LEAD_MS: Final = 1_000
"""Silence before a sound, so that times count from its begin."""
_GAINS_DB: Final = (0.0, -3.0, -6.0)
_BELOW_DB: Final = (10.0, 12.0, 15.0, 20.0)
_UNDER_DB: Final = 15.0
"""A television that a user speaks over is so much quieter."""
_ASKED: Final = 3
"""Utterances from which the usual level is known."""
_WITHIN_DB: Final = (4.0, 5.0, 6.0, 7.0, 8.0, 10.0)
_LATE_MS: Final = 200
_OVER_MS: Final = 3_000
"""So long the television speaks before the user does."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """Speech as an input hears it."""

    levels: tuple[UtteranceLevel, ...]
    """Of its utterances."""
    timeline: tuple[tuple[int, float], ...]
    """When speech would hold an answer, in ms, and the highest level of its utterance until then."""

    def held_ms(self, least_db: float) -> int | None:
        """When it is loud enough at first; None: never."""
        return next((at_ms for at_ms, db in self.timeline if db >= least_db), None)


_AllHeard = Mapping[str, Sequence[_Heard]]


def main() -> int:
    """Print the table; exit status 1 where a usual voice, or a television 15 dB below it, is mistaken."""
    parser = argparse.ArgumentParser(prog="python -m loadtests bench-distance", description=__doc__)
    parser.add_argument(
        "--prompts", type=Path, default=PROMPT_FOLDER, help="Asterisk's sounds (default: %(default)s)"
    )
    options = parser.parse_args()
    delivered = ListeningSettings().distant_db or 0.0
    dice = np.random.default_rng(1)
    voices = {"packaged voice": asyncio.run(_own_voice()), **_recorded(options.prompts)}
    far = {name: [in_room(one, dice) for one in clips] for name, clips in voices.items()}
    near_heard = {name: [_listen(one, dice) for one in clips] for name, clips in voices.items()}
    # At the level of the voice that it comes from: what is tried is by how much it lies below another one.
    far_heard = {name: [_listen(one, dice) for one in clips] for name, clips in far.items()}
    mixed = _mixed(voices["packaged voice"][_LONG:], [one for name in far for one in far[name][:2]], dice)
    columns = [
        "distant_db",
        *(f"user {gain:+g} dB" for gain in _GAINS_DB),
        *(f"television -{below:g} dB" for below in _BELOW_DB),
        f"user over a television -{_UNDER_DB:g} dB, p50 / p95",
    ]
    found = {within: _shares(near_heard, far_heard, within) for within in _WITHIN_DB}
    rows = [
        [
            f"{within:g}" + (", as delivered" if within == delivered else ""),
            *(f"{100 * share:.0f} %" for share in shares),
            _over(near_heard["packaged voice"], mixed, within),
        ]
        for within, shares in found.items()
    ]
    print(f"{when()}, {machine()}, commit {commit()}\n\n{markdown(columns, rows)}")
    usual, television = found[delivered][0], found[delivered][len(_GAINS_DB) + _BELOW_DB.index(_UNDER_DB)]
    return int(usual < 1 or television > 0)


def _shares(near: _AllHeard, far: _AllHeard, within_db: float) -> list[float]:
    """Shares that hold: of the user's utterances in time, by gain; of the television's at all, by level."""
    users, televisions = [], []
    for gain in _GAINS_DB:
        late = [
            _too_late(one, _usual_db(heard, number) - within_db - gain)
            for heard in near.values()
            for number, one in enumerate(heard)
        ]
        users.append(1 - sum(late) / len(late))
    for below in _BELOW_DB:
        held = [
            other.held_ms(_mean_db(distant) - (_mean_db(heard) - _usual_db(heard, -1)) - within_db + below)
            for name, heard in near.items()
            for other_name, distant in far.items()
            if other_name != name
            for other in distant[:_ASKED]
        ]
        televisions.append(sum(at_ms is not None for at_ms in held) / len(held))
    return users + televisions


def _too_late(one: _Heard, least_db: float) -> bool:
    """Whether it holds never, or long after it would without regard to its level."""
    held_ms, first_ms = one.held_ms(least_db), one.held_ms(-np.inf)
    return held_ms is None or first_ms is None or held_ms - first_ms > _LATE_MS


def _usual_db(heard: Sequence[_Heard], but: int) -> float:
    """The usual level after some other utterances of the same voice."""
    usual = SpeakerLevel()
    others = [one for number, one in enumerate(heard) if number != but and one.levels]
    for one in (
        others[but % len(others) :][:_ASKED] + others[: max(0, but % len(others) + _ASKED - len(others))]
    ):
        usual.learn(one.levels[0])
    assert usual.usual_db is not None
    return usual.usual_db


def _mean_db(heard: Sequence[_Heard]) -> float:
    return float(np.mean([one.levels[0].mean_db for one in heard if one.levels]))


def _over(usual: Sequence[_Heard], mixed: Sequence[_Heard], within_db: float) -> str:
    """How soon a word over the television holds, from where it begins."""
    least_db = _usual_db(usual, -1) - within_db
    after = [
        next((at_ms - _OVER_MS for at_ms, db in one.timeline if at_ms >= _OVER_MS and db >= least_db), None)
        for one in mixed
    ]
    known = [float(at_ms) for at_ms in after if at_ms is not None]
    if not known:
        return "never"
    times = f"{percentile(known, 0.5):.0f} / {percentile(known, 0.95):.0f} ms"
    return f"{len(known)} of {len(after)}: {times}"


def _listen(sound: Sound, dice: np.random.Generator) -> _Heard:
    lead, tail = np.zeros(RATE, np.float32), np.zeros(2 * RATE, np.float32)
    noisy = np.concatenate([lead, sound, tail])
    noisy += dice.normal(0.0, _NOISE, len(noisy)).astype(np.float32)
    pcm = np.clip(noisy, -32_768, 32_767).astype("<i2").tobytes()
    frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)]
    endpointer, level = Endpointer(EndpointingSettings()), UtteranceLevel()
    levels, timeline = [], []
    for number, probability in enumerate(EnergyGate().probabilities(b"".join(frames))):
        events = endpointer.push(probability)
        if not endpointer.silence_ms:
            level.push(frames[number])
            if endpointer.speech_ms >= ListeningSettings().hold_ms:
                timeline.append(((number + 1) * FRAME_MS - _LEAD_MS, level.highest_db))
        for event in events:
            if isinstance(event, Ended):
                levels.append(level)
            if isinstance(event, Ended | Dropped):
                level = UtteranceLevel()
    return _Heard(tuple(levels), tuple(timeline))


def _mixed(words: Sequence[Sound], televisions: Sequence[Sound], dice: np.random.Generator) -> list[_Heard]:
    """Each word after some seconds of a television."""
    mixed = []
    for number, word in enumerate(words):
        television = np.concatenate([*televisions[number % len(televisions) :], *televisions])[: 6 * RATE]
        quieter = 10 ** ((active_db(word) - _UNDER_DB - active_db(television)) / 20)
        sound = (television * quieter).astype(np.float32)
        begin = _OVER_MS * RATE // 1_000
        sound[begin : begin + len(word)] += word[: len(sound) - begin]
        mixed.append(_listen(sound, dice))
    return mixed


async def _own_voice() -> list[Sound]:
    settings = AppSettings()
    voice = build_text_to_speech(settings.text_to_speech, settings.cache)
    read = [(await spoken(voice, text))[0].astype(np.float32) for text in _OWN_TEXTS]
    await voice.aclose()
    return [soxr.resample(sound, voice.sample_rate, RATE) for sound in read]


def _recorded(prompts: Path) -> dict[str, list[Sound]]:
    voices: dict[str, list[Sound]] = {}
    if available():
        for name, clips in (("reader", librivox()), ("card player", cards())):
            voices[name] = [np.frombuffer(clip.pcm, "<i2").astype(np.float32) for clip in clips]
    for language, speaker in LANGUAGES.items():
        files = sorted((prompts / speaker).glob("*.g722"))
        sounds = (prompt(file.parent, [file.stem]).astype(np.float32) for file in files[::3])
        # Beeps and music are no voice, and short.
        voices[f"prompts, {language}"] = [one for one in sounds if RATE < len(one) < 8 * RATE][:_PROMPTS]
    return {name: clips for name, clips in voices.items() if clips}
