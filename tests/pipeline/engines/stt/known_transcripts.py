"""Transcripts that the remote servers are given."""

import hashlib
from typing import Any

import numpy as np

from pipeline.engines.ports import Transcript, Utterance
from pipeline.engines.stt.openai_transcription import OpenAiTranscription
from rhapsode.testing.speech_to_text_contract import written

SOUND = (np.sin(np.arange(16_000) / 9) * 5_000).astype("<i2").tobytes()
SAID = {hashlib.sha256(SOUND).hexdigest(): "The fox is red."}


async def heard(engine: OpenAiTranscription, **how: Any) -> tuple[list[str], Transcript]:
    return await written(engine, Utterance(SOUND, **how))
