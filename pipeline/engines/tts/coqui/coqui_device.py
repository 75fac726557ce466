"""Which device torch works on, and how much of it: only imported in an environment that has torch."""

import torch

from pipeline.engines.tts.piper_device import NoDevice
from schemas.settings import TextToSpeechSettings


def prepared_device(settings: TextToSpeechSettings) -> str:
    """ "cpu" or "cuda", with this process's threads and memory bounded. Raises NoDevice."""
    there = torch.cuda.is_available()
    if settings.device == "cuda" and not there:
        raise NoDevice(
            "text_to_speech.device is cuda, and torch sees no GPU here: the card's driver is missing, or the "
            "environment is the one for the CPU (make env-speech-gpu GPU=yes)."
        )
    if settings.device == "cpu" or not there:
        # Several windows side by side, one thread each: twice the threads cost twice the CPU here.
        torch.set_num_threads(1)
        return "cpu"
    if settings.memory_fraction is not None:
        torch.cuda.set_per_process_memory_fraction(settings.memory_fraction)
    return "cuda"
