"""A recording written down for a client of OpenAI's: a session with one input."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import IO, Any

from deployments.container import GatewayContainer
from deployments.faces.openai.request_mapping import patch_of, title_of
from deployments.faces.openai.transcription_formats import Transcribed
from deployments.model_names import NamedModel
from pipeline.auth.principals import Principal
from pipeline.delivery.listener import Listening
from pipeline.engines.speech_environment import quality_engine
from pipeline.stt.inputs.recording_upload import UploadedSound, recording_in
from schemas.errors import InputError
from schemas.errors.openai_errors import UnsupportedValue
from schemas.ids import Seq, SessionId
from schemas.native.client_commands import CreateSession
from schemas.openai.transcription_request import ServerVad, TranscriptionRequest, TranslationRequest

TranscriptionParams = TranscriptionRequest | TranslationRequest


@dataclass(frozen=True, slots=True)
class TranscriptionSessions:
    """Requests of the face."""

    services: GatewayContainer

    def model(self, params: TranscriptionParams) -> NamedModel:
        """Returns the provider that transcribes. Raises ModelNotFound, or UnsupportedValue."""
        model = self.services.names.transcription(params.model)
        quality = self.services.settings.quality_speech_to_text
        engine = quality_engine(quality)
        if isinstance(params, TranslationRequest) and (model.provider is not None or engine != "whisper"):
            raise UnsupportedValue(f"the model {model.id!r} does not translate here", field="model")
        if params.response_format == "diarized_json" and not (
            model.mode == "quality" and engine == "whisperx" and quality.diarize
        ):
            raise UnsupportedValue("no engine here tells speakers apart", field="response_format")
        return model

    async def begin(
        self, params: TranscriptionParams, model: NamedModel, name: str, caller: Principal
    ) -> SessionId:
        """A session for one recording. Raises InputError or LimitReached."""
        await self.services.sessions.admit(caller.name)
        settings = patch_of(
            {"speak": False, "listening": _listening(params, model)}, {"listening": "language"}
        )
        session, *_ = await self.services.sessions.create(
            CreateSession(settings=settings, title=title_of(name)), kind="completion", principal=caller.name
        )
        return session

    @asynccontextmanager
    async def recording(self, file: IO[bytes]) -> AsyncGenerator[UploadedSound, None]:
        """Decodes the file. Raises NotSound or InputTooLong."""
        longest_s = self.services.settings.limits.upload_s
        with _about_the_file():
            async with recording_in(file, longest_s=longest_s) as recording:
                yield recording

    async def listen(self, session: SessionId, recording: UploadedSound, name: str) -> int:
        """Return when all of it is written down: its milliseconds. Raises NotSound or InputTooLong."""
        with _about_the_file():
            return (await recording.listen(self.services.audio_inputs, session, name=name)).ms

    async def texts(self, session: SessionId, made: Transcribed) -> AsyncGenerator[str, None]:
        """Yields the transcript as it becomes known; ends with the recording. Raises EngineError."""
        _, head = await self.services.sessions.view(session)
        params = Listening(after=Seq(0))
        async with aclosing(self.services.listener().listen(session, head, params)) as batches:
            async for batch in batches:
                for recorded in batch:
                    if text := made.apply(recorded):
                        yield text
                if made.over:
                    return


@contextmanager
def _about_the_file() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        error.field = "file"
        raise


def _listening(params: TranscriptionParams, model: NamedModel) -> dict[str, Any]:
    """How the recording is listened to, whatever sessions here usually do."""
    listening: dict[str, Any] = {
        "mode": model.mode,
        "provider": model.provider,
        "compare": False,
        "turn_detection": "vad",
        "partials_ms": 0,
        "reply": False,
        "language": "auto",
        "prompt": params.prompt or "",
    }
    if isinstance(params, TranslationRequest):
        return listening | {"mode": "quality", "translate": True}
    vad = params.chunking_strategy
    return listening | {
        "language": params.language_or_any,
        "prompt": params.hint,
        "endpointing": _endpointing(vad) if vad else {},
    }


def _endpointing(vad: ServerVad) -> dict[str, Any]:
    requested = {
        "threshold": vad.threshold,
        "silence_ms": vad.silence_duration_ms,
        "prefix_padding_ms": vad.prefix_padding_ms,
    }
    return {name: value for name, value in requested.items() if value is not None}
