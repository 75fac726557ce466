"""Checks that a configuration names only what exists: engines, files, kinds of addresses, the profile."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import fsspec

from cluster.checks.placement_check import Trouble
from pipeline.engines import registry
from pipeline.tts.pronunciations import check_entries
from schemas.errors import InputError
from schemas.settings import AppSettings

PROFILES: Final = ("laptop", "gpu", "small", "cluster")
"""Of the files that come with Rhapsode."""
_ARGS: Final = "applications.0.args"
_PORTS: Final = ("language_model", "text_to_speech", "speech_to_text", "quality_speech_to_text")
_FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "language_model": ("model_path", "script"),
    "text_to_speech": ("voice_path", "model_path", "config_path", "speaker_wav", "script"),
    "speech_to_text": ("model_path", "partial_model_path", "script"),
    "quality_speech_to_text": ("script",),
}


def unknown(settings: AppSettings, *, here: bool) -> Iterator[Trouble]:
    """Yields names without a target. `here`: files and drivers are wanted on this machine."""
    if settings.profile not in PROFILES:
        yield f"{_ARGS}.profile", f"there is no profile {settings.profile!r}; there are {', '.join(PROFILES)}"
    for part in _PORTS:
        known = (*registry.known(part), *(("auto",) if part == "quality_speech_to_text" else ()))
        if (engine := getattr(settings, part).engine) not in known:
            yield f"{_ARGS}.{part}.engine", f"there is no engine {engine!r}; there are {', '.join(known)}"
    yield from _archive(settings, here)
    try:
        check_entries(settings.session.pronunciations, field=f"{_ARGS}.session.pronunciations")
    except InputError as error:
        yield str(error.field), str(error)
    for part, fields in _FILES.items() if here else ():
        for field in fields:
            path = getattr(getattr(settings, part), field)
            if path is not None and not path.expanduser().exists():
                yield f"{_ARGS}.{part}.{field}", f"there is no {path}"
    for place, voice in enumerate(settings.text_to_speech.further_voices if here else ()):
        if isinstance(voice, Path) and not voice.expanduser().exists():
            yield f"{_ARGS}.text_to_speech.further_voices.{place}", f"there is no {voice}"


def _archive(settings: AppSettings, here: bool) -> Iterator[Trouble]:
    """Each of the storages of an address as `simplecache::s3://bucket` must be one that fsspec knows."""
    place = f"{_ARGS}.archive.url"
    for part in (settings.archive.url or "").split("::"):
        scheme, found, _ = part.partition("://")
        scheme = scheme if found or "::" in (settings.archive.url or "") else "file"
        if scheme not in fsspec.available_protocols():
            yield place, f"there is no storage {scheme}://; as s3://BUCKET/FOLDER, or a folder"
        elif here:
            try:
                fsspec.get_filesystem_class(scheme)
            except ImportError as error:
                yield place, f"{scheme}:// needs a driver that is not installed: {error}"
