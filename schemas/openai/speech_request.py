"""`POST /v1/audio/speech`: what may be asked for, field by field."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from schemas.native.client_commands import SAYS_SOMETHING, Described, said
from schemas.openai.chat_request import VoiceName
from schemas.openai.parameter_support import Cleaned, OpenAiRequest

SpeechFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]


class SpeechRequest(OpenAiRequest):
    """A text to be spoken, word for word."""

    input: Annotated[Cleaned, AfterValidator(said), Described(minLength=1, pattern=SAYS_SOMETHING)]
    model: Annotated[str, Field(min_length=1, max_length=256)]
    voice: VoiceName
    instructions: Annotated[Cleaned, Field(max_length=4_096)] | None = None
    response_format: SpeechFormat | None = None
    speed: Annotated[float, Field(ge=0.25, le=4.0)] | None = None
    stream_format: Literal["audio", "sse"] | None = None
