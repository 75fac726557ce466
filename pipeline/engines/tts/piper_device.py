"""Piper on a GPU: what onnxruntime is told to work on, and what to do if it cannot."""

from collections.abc import Sequence
from typing import Final

import onnxruntime

from schemas.settings.voice_settings import Device

CPU: Final = "CPUExecutionProvider"
_CUDA: Final = "CUDAExecutionProvider"


class NoDevice(ValueError):
    """The settings name a device that this process does not have. Raised at start-up, so it needs no code."""


def providers_for(device: Device, available: Sequence[str] | None = None) -> list[str]:
    """Onnxruntime's providers for a voice, the wanted one first. Raises NoDevice.

    `available`: what this onnxruntime was built with; None: ask it.
    """
    if device != "cuda":
        return [CPU]
    if _CUDA not in (onnxruntime.get_available_providers() if available is None else available):
        raise NoDevice(
            "text_to_speech.device is cuda, and this environment's onnxruntime is built for the CPU only. "
            "Make the one for the GPU: make env-speech-gpu GPU=yes."
        )
    # The libraries that pip installed are not where the system looks for them.
    if available is None:
        onnxruntime.preload_dlls()
    return [_CUDA, CPU]


def check_is_used(used: Sequence[str], wanted: Sequence[str]) -> None:
    """Raises NoDevice where onnxruntime quietly took another provider than the first that was wanted."""
    if used[0] != wanted[0]:
        raise NoDevice(
            "text_to_speech.device is cuda, and onnxruntime could not load CUDA: it needs a driver for CUDA "
            "12 and the libraries that make env-speech-gpu GPU=yes installs."
        )
