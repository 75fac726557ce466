"""The input audio buffer of a Realtime connection: an input that opens when the first sound comes."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import anyio.to_thread

from deployments.faces.realtime.realtime_commands import RealtimeCommands
from deployments.faces.realtime.session_config import config_of
from pipeline.session_state.conversation import Conversation
from pipeline.stt.inputs.input_handles import OpenInputHandle
from schemas.errors import NoInput, RhapsodeError
from schemas.errors.realtime_errors import RealtimeInvalid
from schemas.native.client_commands import OpenInput
from schemas.settings.listening_settings import ListeningSettings

_FORMATS: Final = {"audio/pcm": "pcm16", "audio/pcmu": "mulaw", "audio/pcma": "alaw"}
_BYTES_PER_MS: Final = {"audio/pcm": 48, "audio/pcmu": 8, "audio/pcma": 8}
_SHORTEST_MS: Final = 100
_AT_ONCE: Final = 1_000_000
Action = Callable[[], Awaitable[None]]


class RealtimeAudioInput:
    """Of one connection."""

    def __init__(
        self,
        commands: RealtimeCommands,
        refused: Callable[[RhapsodeError], Awaitable[None]],
        *,
        tracks: bool = False,
    ) -> None:
        """`tracks`: its sound comes by an audio track, as PCM whatever the session's format is."""
        self._tracks = tracks
        self._services = commands.services
        self._commands = commands
        self._refused = refused
        self._handle: OpenInputHandle | None = None
        self._format = "audio/pcm"
        self._settings: ListeningSettings | None = None
        self._sent = 0
        """Bytes since the last commit."""

    @property
    def heard(self) -> tuple[str, int] | None:
        """The input, and how far it was listened to; None: nobody has sent anything."""
        handle = self._handle
        if handle is None or handle.done.is_set():
            return None
        return handle.name, handle.audio_input.at_ms

    async def push(self, sound: bytes) -> None:
        """Takes the next sound, if there is any. Raises RealtimeInvalid, or what ended the input."""
        if not sound:
            return
        handle = await self._current() or await self._open()
        self._sent += len(sound)
        with self._using(handle):
            await handle.push_audio(sound)

    async def commit(self) -> Action:
        """Commits the buffer; the input is in the log when the deed is done. Raises RealtimeInvalid."""
        handle = await self._current()
        sent_ms, self._sent = self._sent / _BYTES_PER_MS[self._format], 0
        if handle is None or sent_ms < _SHORTEST_MS:
            raise _too_little(sent_ms)
        before, _ = await self._services.sessions.view(self._commands.session)
        head = before.head
        with self._using(handle):
            queued = await handle.queue_command("commit")

        async def settle() -> None:
            with self._using(handle):
                await handle.executed(queued)
            conversation, _ = await self._services.sessions.view(self._commands.session)
            items = conversation.items
            said = [
                items.known.get(name) for (which, _), name in items.spoken.items() if which == handle.name
            ]
            if any(item is not None and item.seq > head for item in said):
                return
            if conversation.settings.listening.turn_detection == "vad":
                raise RealtimeInvalid(
                    "Error committing input audio buffer: nothing was said since the last commit.",
                    reason="input_audio_buffer_commit_empty",
                )
            await self._commands.silent()

        return settle

    async def clear(self) -> Action:
        handle, self._sent = await self._current(), 0
        if handle is None:
            return partial(self._commands.cleared, "")
        with self._using(handle):
            queued = await handle.queue_command("clear")

        async def settle() -> None:
            with self._using(handle):
                await handle.executed(queued)
            await self._commands.cleared(handle.name)

        return settle

    async def adopt(self) -> None:
        """The session was changed: what is sent from now on is heard so, unless somebody speaks just now."""
        handle = self._handle
        if handle is None:
            return
        conversation, _ = await self._services.sessions.view(self._commands.session)
        format = self._format_of(conversation)
        state = conversation.inputs.get(handle.name)
        speaking = state is not None and state.begun_ms is not None
        other = conversation.settings.listening != self._settings
        if format != self._format or (other and not speaking):
            self._handle = None
            self._services.audio_inputs.leave(handle, may_return=False)

    def leave(self) -> None:
        """Commits the audio received by now: no client can send the rest again."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._services.audio_inputs.leave(handle, may_return=False)

    async def _current(self) -> OpenInputHandle | None:
        """The input, unless it has ended by itself: then it is told why, once, and there will be another."""
        handle = self._handle
        if handle is None or not handle.done.is_set():
            return handle
        self._handle, self._sent = None, 0
        await self._refused(handle.error or NoInput("the last sound is lost; say it again"))
        return None

    @contextmanager
    def _using(self, handle: OpenInputHandle) -> Iterator[None]:
        """Passes errors of an input that goes on; another task reports the end of one that is done."""
        try:
            yield
        except RhapsodeError:
            if handle.done.is_set() and self._handle is handle:
                self._handle, self._sent = None, 0
            raise

    async def _open(self) -> OpenInputHandle:
        conversation, _ = await self._services.sessions.view(self._commands.session)
        self._format = self._format_of(conversation)
        self._settings = conversation.settings.listening
        rate = 24_000 if self._format == "audio/pcm" else 8_000
        params = OpenInput.model_validate({"format": _FORMATS[self._format], "rate": rate})
        self._handle = await self._services.audio_inputs.open(
            self._commands.session, params, refused=self._refused
        )
        return self._handle

    def _format_of(self, conversation: Conversation) -> str:
        if self._tracks:
            return "audio/pcm"
        config = config_of(conversation, model=self._commands.model)
        found: str = config["audio"]["input"]["format"]["type"]
        return found


async def decoded_sound(audio: str) -> bytes:
    """The sound of an event's base64; off the loop where it is much. Raises RealtimeInvalid."""
    try:
        if len(audio) <= _AT_ONCE:
            return base64.b64decode(audio, validate=True)
        return await anyio.to_thread.run_sync(lambda: base64.b64decode(audio, validate=True))
    except (binascii.Error, ValueError) as error:  # ValueError: text beyond ASCII
        raise RealtimeInvalid("Invalid 'audio': it is not base64.", field="audio") from error


def _too_little(sent_ms: float) -> RealtimeInvalid:
    return RealtimeInvalid(
        "Error committing input audio buffer: buffer too small. "
        f"Expected at least {_SHORTEST_MS}ms of audio, but buffer only has {sent_ms:.2f}ms of audio.",
        reason="input_audio_buffer_commit_empty",
    )
