"""A user's settings of narration, and the voices there are."""

from collections.abc import Sequence
from contextlib import aclosing, suppress
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Response

from deployments.container import GatewayContainer
from deployments.faces.native.session_routes import Open
from deployments.web.body_limits import BoundedRoute
from deployments.web.resource_access import Caller
from pipeline.apps.narration_progress import NarrationProgress, Source
from pipeline.apps.narrations import NARRATED
from pipeline.audio.audio_formats import MIME, AudioFormat
from pipeline.delivery.recordings import RecordingParams, RecordingPart
from pipeline.tts.pronunciations import check_entries
from schemas.apps.story_messages import PreferencesHistory, PreferencesPatch, PreferencesView, VoiceView
from schemas.errors import EngineFailed, SessionGone, UnknownVoice
from schemas.ids import Seq, SessionId, derived_session_id, new_session_id
from schemas.languages import primary, speaks
from schemas.settings.narration_preferences import Preferences
from schemas.settings.provider_settings import LOCAL

router = APIRouter(tags=["narration"], route_class=BoundedRoute)

_PREVIEW: Final = {
    "en": "This is how I sound. Once upon a time, there was a voice that told stories.",
    "de": "So klinge ich. Es war einmal eine Stimme, die Geschichten erzählte.",
    "fr": "Voici comment je parle. Il était une fois une voix qui racontait des histoires.",
    "es": "Así es como sueno. Había una vez una voz que contaba historias.",
    "it": "Ecco come parlo. C'era una volta una voce che raccontava storie.",
    "pt": "É assim que eu falo. Era uma vez uma voz que contava histórias.",
    "nl": "Zo klink ik. Er was eens een stem die verhalen vertelde.",
    "pl": "Tak właśnie brzmię. Dawno, dawno temu był głos, który opowiadał historie.",
    "ru": "Вот как я звучу. Жил-был голос, который рассказывал истории.",
    "tr": "Sesim böyle. Bir zamanlar hikâyeler anlatan bir ses varmış.",
    "ar": "هكذا يبدو صوتي. كان يا ما كان، كان هناك صوت يروي القصص.",
    "hi": "मेरी आवाज़ ऐसी है। एक समय की बात है, एक आवाज़ थी जो कहानियाँ सुनाती थी।",
    "zh": "这就是我的声音。从前，有一个会讲故事的声音。",
    "ja": "私の声はこんな感じです。昔々、物語を語る声がありました。",
    "ko": "제 목소리는 이렇습니다. 옛날 옛적에 이야기를 들려주는 목소리가 있었습니다.",
}
_PREVIEWS_MS: Final = 1_767_225_600_000


@router.get("/api/tts/settings")
async def get_settings(services: Open, caller: Caller) -> PreferencesView:
    state = await services.users.state(caller.name)
    return PreferencesView(preferences=state.preferences, seq=state.changed)


@router.put("/api/tts/settings")
async def put_settings(services: Open, caller: Caller, params: PreferencesPatch) -> PreferencesView:
    """Change some of the settings, or all; what is left out stays."""

    def decide(present: Preferences) -> Preferences:
        changed = present.model_copy(update={name: getattr(params, name) for name in params.model_fields_set})
        check_entries(changed.pronunciations, field="pronunciations", known=present.pronunciations)
        voices = services.sessions.choices.voices_of(changed.tts_provider, field="tts_provider")
        if changed.default_voice in voices:
            return changed
        if params.default_voice is not None:
            known = ", ".join(voices)
            raise UnknownVoice(
                f"there is no voice {params.default_voice!r} there; there is: {known}", field="default_voice"
            )
        # A provider's voice does not go with another one; this server chooses its own by itself.
        return changed.model_copy(update={"default_voice": voices[0] if changed.tts_provider else None})

    seq, preferences = await services.users.change(caller.name, decide)
    return PreferencesView(preferences=preferences, seq=seq)


@router.get("/api/tts/settings/history")
async def settings_history(services: Open, caller: Caller) -> PreferencesHistory:
    """The last hundred changes, oldest first."""
    state = await services.users.state(caller.name)
    return PreferencesHistory(
        history=tuple(
            PreferencesHistory.At(seq=at.seq, changed_ms=at.ts_ms, preferences=at.preferences)
            for at in state.history
        )
    )


@router.get("/api/tts/voices")
async def voices(services: Open) -> list[VoiceView]:
    """Lists the speech providers, their voices, and how each sounds."""
    return [
        VoiceView(id=voice, provider=provider, preview_url=_preview_url(provider, voice), languages=languages)
        for provider, voices in services.sessions.choices.speakers.items()
        for voice, languages in voices.items()
    ]


def _preview_url(provider: str, voice: str) -> str:
    return f"/api/tts/voices/{quote(voice, safe='')}/preview?{urlencode({'provider': provider})}"


@router.get("/api/tts/voices/{voice:path}/preview", response_class=Response)
async def preview(
    services: Open,
    caller: Caller,
    voice: str,
    provider: str | None = None,
    speed: Annotated[float, Query(ge=0.5, le=2.0)] = 1.0,
    audio_format: Annotated[AudioFormat, Query(alias="format")] = "mp3",
) -> Response:
    """How a voice sounds. It speaks once; from then on the log remembers."""
    if voice not in services.sessions.choices.voices_of(provider, field="provider"):
        raise UnknownVoice(f"there is no voice {voice[:80]!r}", field="voice")
    known = services.sessions.choices.speakers[provider or LOCAL][voice]
    language = _preview_language(known, services.settings.session.language)
    remembered = derived_session_id(
        _PREVIEWS_MS, "preview", caller.name, provider or "", voice, f"{speed:.2f}", language
    )
    preferences = (await services.users.state(caller.name)).preferences.model_copy(
        update={"default_voice": voice, "speech_speed": speed, "tts_provider": provider}
    )
    why = "it was deleted"
    for session in (remembered, new_session_id()):  # a failed preview is remembered, too
        with suppress(SessionGone):
            await services.narrations.read_out(
                _PREVIEW[language],
                principal=caller.name,
                title="Preview",
                session=session,
                preferences=preferences,
            )
            source, end = await _to_the_end(services, session)
            if end["type"] == "complete":
                part = RecordingPart(session, [source.state], Seq(source.conversation.head))
                params = RecordingParams((part,), audio_format, principal=caller.name)
                made = await services.recordings.make(params)
                return Response(made, media_type=MIME[audio_format], headers={"ETag": params.etag})
            why = end["message"]
    raise EngineFailed(f"the voice cannot be heard now: {why}")


def _preview_language(known: Sequence[str], usual: str) -> str:
    """The session's language if the voice may speak it, or the voice's first one that there is a text in."""
    possible = (primary(one) for one in (usual, *known))
    return next((one for one in possible if one in _PREVIEW and (not known or speaks(known, one))), "en")


async def _to_the_end(services: GatewayContainer, session: SessionId) -> tuple[Source, dict[str, Any]]:
    """A narration when it is over, and what became of it."""
    conversation, _ = await services.sessions.attend(session)
    progress = NarrationProgress(services.tailer, Source(session, NARRATED, conversation))
    async with aclosing(progress.chunks(-1)) as chunks:
        async for _ in chunks:
            pass
    conversation, _ = await services.sessions.view(session)
    return Source(session, NARRATED, conversation), progress.fold.last_words()
