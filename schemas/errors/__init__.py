"""Errors raised on purpose: each has a stable code, says whether trying again can help, and may name a field.

RhapsodeError
├── InputError            the caller sent something we cannot take
│   ├── SessionNotFound, SessionGone, TurnNotFound
│   ├── CursorMalformed, CursorForeign, CursorAhead
│   ├── what documents and collections lack: schemas/errors/retrieval_errors.py
│   └── BundleInvalid, BundleVersion, BundleDamaged, BundleTooLarge
├── AccessError           not for this caller: schemas/errors/access_errors.py
├── StateError            right words, wrong moment: SessionAlreadyEnded, TurnQueueFull, GatewayBusy ...
├── EngineError           a model: EngineBusy, EngineFailed, EngineDead, LanguageNotSpoken, ElementNotSpoken;
│                         SchemaInvalid and ContextTooLong are InputErrors as well, which only the engine may
│                         be able to tell
├── RetrievalUnavailable  the store of the documents: schemas/errors/retrieval_errors.py
└── LogError              the log: LogUnavailable, LogFull, Fenced, Conflict, SessionFull, LogLost,
                          LogForeign;
                          its archive: ArchiveUnavailable, ArchiveDamaged

The domain knows no HTTP: the one table from code to status is in deployments/web/problem_details.py.
"""

from typing import ClassVar


class RhapsodeError(Exception):
    """Base of every error this project raises on purpose. `str(error)` is fit for a user's eyes."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    why: ClassVar[str | None] = None
    """Tells causes with the same code apart."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def first_error(group: BaseExceptionGroup[RhapsodeError]) -> RhapsodeError:
    """Returns the first one of a task group's errors."""
    inner = group.exceptions[0]
    return first_error(inner) if isinstance(inner, BaseExceptionGroup) else inner


class InputError(RhapsodeError):
    """The request itself is wrong; sending it again unchanged cannot help."""

    code = "input.invalid"


class InputTooLong(InputError):
    code = "input.too_long"


class BodyTooLarge(InputError):
    code = "body.too_large"


class UnknownVoice(InputError):
    code = "voice.unknown"


class UnknownProvider(InputError):
    """No provider has this name."""

    code = "provider.unknown"


class CharacterNotFound(InputError):
    code = "character.not_found"


class UnknownFunction(InputError):
    """This server calls no function of this name."""

    code = "function.unknown"


class UnknownModel(InputError):
    """The chosen provider has no model of this name."""

    code = "model.unknown"


class NotSound(InputError):
    """The given bytes are no sound that can be read."""

    code = "sound.unreadable"


class NoInput(InputError):
    """Sound, or a command about it, came before "input.open"."""

    code = "input.not_open"


class InputCancelled(InputError):
    """The recording's client left before its transcription."""

    code = "input.cancelled"


class UnsupportedFormat(InputError):
    code = "format.unsupported"


class SessionNotFound(InputError):
    code = "session.not_found"


class SessionGone(InputError):
    """The session was deleted."""

    code = "session.gone"


class TurnNotFound(InputError):
    code = "turn.not_found"


class SceneNotFound(InputError):
    code = "scene.not_found"


class UserNotFound(InputError):
    code = "user.not_found"


class NarrationNotFound(InputError):
    """The scene has no narration yet."""

    code = "narration.not_found"


class ChunkNotFound(InputError):
    """The narration has no such chunk, and will have none."""

    code = "chunk.not_found"


class CursorMalformed(InputError):
    code = "cursor.malformed"


class CursorForeign(InputError):
    """The cursor belongs to another session or to an earlier life of this one."""

    code = "cursor.foreign"


class CursorAhead(InputError):
    """The cursor names an event that the log does not have (yet)."""

    code = "cursor.ahead"


class StateError(RhapsodeError):
    """The request is fine but not now."""

    code = "state.refused"


class SessionAlreadyEnded(StateError):
    code = "session.ended"


class SceneNotReady(StateError):
    code = "scene.not_ready"
    retryable = True


class ChunkNotReady(StateError):
    """It is being made; ask again."""

    code = "chunk.not_ready"
    retryable = True


class NothingToControl(StateError):
    """Stop, skip, pause or resume came when no turn was running."""

    code = "turn.none_running"


class TurnNotReplaceable(StateError):
    """A turn is still being answered, or another version of it counts."""

    code = "turn.not_replaceable"


class TurnQueueFull(StateError):
    code = "turn.queue_full"
    retryable = True


class GatewayBusy(StateError):
    """`retry_after_s`: when there will be room, where that can be told from what was measured."""

    code = "gateway.busy"
    retryable = True

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class GatewayLeaving(GatewayBusy):
    """This gateway is going; another one is there, or will be."""

    code = "gateway.leaving"


class EngineError(RhapsodeError):
    """A model could not do its work."""

    code = "engine.failed"


class EngineBusy(EngineError):
    code = "engine.busy"
    retryable = True


class EngineFailed(EngineError):
    """This request failed; the engine lives."""

    code = "engine.failed"


class LanguageNotSpoken(EngineError):
    """No configured voice speaks the language of a sentence, which stays text."""

    code = "voice.language"


class ElementNotSpoken(EngineError):
    """No voice for a sentence knows an element of SSML in it; the sentence stays text."""

    code = "voice.element"


class MarkupInvalid(InputError):
    """A text in SSML is not well formed, or has an element or attribute that is not of the subset."""

    code = "ssml.invalid"


class PatternInvalid(InputError):
    """The regular expression of a pronunciation is none of RE2, or too large."""

    code = "pronunciation.pattern"


class SchemaInvalid(EngineFailed, InputError):
    """The schema of an answer or of a function's arguments is wrong, or more than the engine takes."""

    code = "schema.invalid"


class ContextTooLong(EngineFailed, InputError):
    """The required context does not fit into the model's window."""

    code = "context.too_long"


class EngineDead(EngineError):
    """The replica died under the request; another one will be there soon."""

    code = "engine.dead"
    retryable = True


class LogError(RhapsodeError):
    code = "log.failed"


class LogUnavailable(LogError):
    """The log server cannot be reached or refuses writes; what was acknowledged is safe."""

    code = "log.unavailable"
    retryable = True
    why: ClassVar[str | None] = "unreachable"


class LogFull(LogUnavailable):
    """The log server's memory is full: it takes no events until some were deleted or archived."""

    why = "full"


class Fenced(LogError):
    """Another owner has taken the session over; this one must stop at once."""

    code = "log.fenced"


class Conflict(LogError):
    """Another writer appended since the expected position was read."""

    code = "log.conflict"
    retryable = True


class SessionFull(LogError):
    """The session holds as many bytes as it may; only events that end a turn or the session are taken."""

    code = "session.quota"


class LogLost(LogError):
    """The log lost events that it had acknowledged, and we no longer hold them: read it again."""

    code = "log.lost"


class LogForeign(LogError):
    """The server at this address is not the log that we have been using."""

    code = "log.foreign"


class ArchiveUnavailable(LogUnavailable):
    """The archive's storage cannot be reached; what it holds is safe."""

    code = "archive.unavailable"
    why = None


class ArchiveDamaged(LogError):
    """A file of the archive is not what was written."""

    code = "archive.damaged"


class BundleInvalid(InputError):
    """The imported file is no bundle of this server's."""

    code = "bundle.invalid"


class BundleVersion(BundleInvalid):
    """Another version of this program made the bundle."""

    code = "bundle.version"


class BundleDamaged(BundleInvalid):
    """Something in the bundle is missing or is not what its manifest says."""

    code = "bundle.damaged"


class BundleTooLarge(BundleInvalid):
    code = "bundle.too_large"


class ToolError(RhapsodeError):
    """It was called, and failed."""

    code = "tool.failed"


class ToolUnknown(ToolError):
    code = "tool.unknown"


class ToolArguments(ToolError):
    """The arguments that the model wrote are not what the function takes."""

    code = "tool.arguments"


class ToolTimeout(ToolError):
    code = "tool.timeout"


class ToolTooMany(ToolError):
    code = "tool.too_many"


class DeadLetterNotFound(InputError):
    """There is no such dead letter, or not any more: it was retried or dropped."""

    code = "dead_letter.not_found"


class ProjectionNotFound(InputError):
    """No worker has ever read for a projection of this name."""

    code = "projection.not_found"


class GatewayNotFound(InputError):
    """No gateway of this name has shown life lately."""

    code = "gateway.not_found"
