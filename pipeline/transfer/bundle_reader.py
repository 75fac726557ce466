"""A bundle that somebody sends us: nothing in it is believed before it was looked at. Synchronous."""

import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import IO, Any, Final

from pydantic import ValidationError

from pipeline.audio.capture import PIECE_PACKETS
from pipeline.audio.opus import CHUNK_MS, PACKET_MS, SENTENCE_MS, packet_us, unframe
from pipeline.eventlog.redis.codec import AUDIO_MAX, encode, size_of
from pipeline.session_state.conversation import Conversation
from pipeline.transfer.bundle_manifest import ALLOWED, EVENTS, FORMAT, MANIFEST, VERSION, Manifest
from pipeline.transfer.cloudevents import PACKETS, read_line
from schemas.bounds import VALUES, too_many
from schemas.errors import (
    BundleDamaged,
    BundleInvalid,
    BundleTooLarge,
    BundleVersion,
    InputTooLong,
    SessionFull,
)
from schemas.events import TERMINAL, Event, payload
from schemas.events.recorded import NewEvent, Recorded
from schemas.events.upcasting import UnknownEvent
from schemas.ids import Seq, SessionId, TurnId, parse_session_id

FILES: Final = 100_000
_PIECE_MS: Final = PIECE_PACKETS * PACKET_MS
_MANIFEST_BYTES: Final = 64 << 10
LINE_BYTES: Final = 4 << 20
"""More than the JSON of the largest event that a log takes."""
_DIRECTORY_BYTES: Final = 8 << 20
_TOLD_PART: Final = 8
"""The data of a session's events without their sound may have this part of `session_bytes`: the 24 hours of
speech that it holds have less. Their sum is held in memory while a bundle is read ..."""
_TOLD_BYTES: Final = 1 << 20
"""... but this much it always may."""
_UNREADABLE: Final = (
    *(zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError),
    *(ValueError, OverflowError),
)
"""`zipfile` raises the last two for offsets before the file's beginning or beyond 64 bits, and for names that
are not UTF-8."""
_LARGEST: Final = 2**53
"""Readers of JSON agree on numbers up to here (RFC 8259, section 6); their sums are finite."""
_AHEAD_MS: Final = 86_400_000
"""The clock of the server that a bundle is from may be ahead by so much."""
_OPEN: Final = 100
"""Turns that are not over: of these all settings are held in memory."""
_FOLD_S: Final = 2.0
_EVENT_S: Final = 100e-6
"""Processor time that folding may take, and for each event more; about 15 us are usual. A gateway that folds
the session again serves nobody meanwhile."""
_OF_SENTENCES: Final = frozenset(f"sentence.{what}" for what in ("voiced", "completed", "failed", "skipped"))
_OF_ANSWERS: Final = (
    TERMINAL
    | _OF_SENTENCES
    | {
        *("turn.started", "turn.resumed", "text.delta", "text.completed", "sentence.ready", "audio.chunk"),
        *("tool.called", "passages.found", "passages.failed", "answer.cited"),
    }
)
"""Events that an answer is made of: none of them follows the turn's end."""
_ANSWER_CHARS: Final = 2_000_000
"""Five times the longest text that is read out. A listener holds an answer's text, and adds to it."""
_TITLE_CHARS: Final = 200
"""As all faces take them: lists of sessions have all of their titles."""
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class ReadBundle:
    """An open bundle whose names, sizes and manifest are right. `events` checks the rest."""

    def __init__(self, file: IO[bytes], *, max_bytes: int, session_bytes: int) -> None:
        """`max_bytes`: what all files may hold together, unpacked. `session_bytes`: what a session may have
        in the log. Raises a BundleInvalid."""
        self._session_bytes = session_bytes
        try:
            _check_directory(file)
            self._zip = zipfile.ZipFile(file)
        except _UNREADABLE as error:
            raise BundleInvalid("this is no ZIP file") from error
        _check_names(self._zip.infolist(), max_bytes)
        self.manifest = self._read_manifest()
        self.session: SessionId = _session_of(self.manifest)

    def check(self) -> Conversation:
        """Read everything once, to no effect but to raise a BundleInvalid; what the events add up to.

        Raises SessionFull as soon as there is more than a session may have, sound or not: what they add up to
        is held in memory, so that without their sound they may have a part of that.
        """
        conversation, stored, text_chars, folded_s = Conversation(), 0, 0, 0.0
        written = Counter[TurnId]()
        now_ms = time.time_ns() // 1_000_000
        for recorded, event in self.events():
            size, words = _sizes(recorded, event)
            stored, text_chars = stored + size, text_chars + words
            if stored > self._session_bytes or text_chars > max(
                _TOLD_BYTES, self._session_bytes // _TOLD_PART
            ):
                raise SessionFull(f"with event {recorded.seq} there is more than a session may have")
            _check_envelope(conversation, recorded, now_ms)
            _check_sound(recorded)
            _check_chunk(conversation, recorded)
            _check_place(conversation, recorded)
            _check_answer(conversation, recorded, written)
            began_s = time.thread_time()
            try:
                conversation.apply(recorded)
            except (ArithmeticError, LookupError, ValueError, TypeError, AttributeError) as error:
                raise BundleInvalid(f"event {recorded.seq} does not fit those before it") from error
            folded_s += time.thread_time() - began_s
            slow = folded_s > _FOLD_S + _EVENT_S * recorded.seq
            if slow or len(conversation.unfinished) > _OPEN:
                raise BundleInvalid(f"with event {recorded.seq} there is more to do than a session asks for")
        if conversation.kind in ("user", "collection", "stream"):
            raise BundleInvalid(f"a {conversation.kind}'s own session cannot be imported")
        return conversation

    def events(self) -> Iterator[tuple[Recorded, Event]]:
        """Every event with its sound, as stored and as a model, in order. Raises a BundleInvalid."""
        try:
            with self._zip.open(EVENTS) as events, self._zip.open(PACKETS) as packets:
                yield from self._events(events, packets)
        except _UNREADABLE as error:
            raise BundleDamaged("the bundle cannot be read to its end") from error

    def _events(self, events: IO[bytes], packets: IO[bytes]) -> Iterator[tuple[Recorded, Event]]:
        seq, heard, lines, sound = Seq(0), 0, sha256(), sha256()
        while line := events.readline(LINE_BYTES + 1):
            if len(line) > LINE_BYTES:
                raise BundleTooLarge(f"line {seq + 1} of the events is too long")
            lines.update(line)
            seq = Seq(seq + 1)
            read = read_line(line, self.session, seq)
            audio = b""
            if read.size:
                if read.start != heard or not 0 < read.size <= AUDIO_MAX:
                    raise BundleDamaged(f"the audio of event {seq} is not where it should be")
                audio = packets.read(read.size)
                heard += len(audio)
                sound.update(audio)
                if len(audio) != read.size:
                    raise BundleDamaged(f"the audio of event {seq} is missing")
            event = _model(read.event)
            yield replace(read.event, v=event.v, data=payload(event), audio=audio or None), event
        manifest = self.manifest
        if seq != manifest.n or lines.hexdigest() != manifest.sha256:
            raise BundleDamaged("the events are not those of the manifest")
        if packets.read(1) or heard != manifest.packets_bytes or sound.hexdigest() != manifest.packets_sha256:
            raise BundleDamaged("the audio is not that of the manifest")

    def _read_manifest(self) -> Manifest:
        try:
            with self._zip.open(MANIFEST) as file:
                text = file.read(_MANIFEST_BYTES)
        except KeyError as error:
            raise BundleInvalid("there is no manifest") from error
        except _UNREADABLE as error:
            raise BundleDamaged("the manifest cannot be read") from error
        try:
            return Manifest.model_validate_json(text)
        except ValidationError as error:
            _check_version(error.errors(include_url=False, include_context=False))
            raise BundleInvalid(f"the manifest is none of ours: {error.errors()[0]['msg']}") from error


def _check_directory(file: IO[bytes]) -> None:
    """The list of files is read as a whole, and is not packed."""
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # where `ZipFile` looks as well
    if end and end[zipfile._ECD_SIZE] > _DIRECTORY_BYTES:  # type: ignore[attr-defined]
        raise BundleTooLarge("there are too many files in this bundle")


def _sizes(recorded: Recorded, event: Event) -> tuple[int, int]:
    """Bytes of the event in the log, and of its data alone. Raises BundleTooLarge if it does not fit."""
    new = NewEvent(event, recorded.ts_ms, recorded.turn, recorded.cause, recorded.audio or b"")
    try:
        row = encode(new)
    except InputTooLong as error:
        raise BundleTooLarge(f"event {recorded.seq} is larger than a log takes") from error
    return size_of([row]), len(row[5])


def _check_version(complaints: list[Any]) -> None:
    """Raises BundleVersion where the manifest is from another version of us."""
    wrong = {complaint["loc"][:1]: complaint["input"] for complaint in complaints}
    if ("format",) not in wrong and isinstance(found := wrong.get(("version",)), int):
        raise BundleVersion(
            f"the bundle has version {found} of {FORMAT}; this program reads version {VERSION}"
        )


def _check_names(entries: list[zipfile.ZipInfo], max_bytes: int) -> None:
    names = [entry.filename for entry in entries]
    if len(names) > FILES or sum(entry.file_size for entry in entries) > max_bytes:
        raise BundleTooLarge("there is too much in this bundle")
    if len(set(names)) != len(names):
        raise BundleInvalid("two files in the bundle have the same name")
    for entry in entries:
        if not ALLOWED.fullmatch(entry.filename):
            raise BundleInvalid(f"a bundle has no file {entry.filename[:80]!r}")
        if entry.flag_bits & 1 or entry.compress_type not in _METHODS:
            raise BundleInvalid(f"the file {entry.filename} is encrypted or packed in an unknown way")
    if missing := {MANIFEST, EVENTS, PACKETS} - set(names):
        raise BundleInvalid(f"the bundle has no {min(missing)}")


def _session_of(manifest: Manifest) -> SessionId:
    session = parse_session_id(manifest.session)
    if session is None or manifest.n != manifest.last:
        raise BundleInvalid("the manifest names no session of ours")
    return session


def _model(recorded: Recorded) -> Event:
    try:
        return recorded.event()
    except UnknownEvent as error:
        raise BundleVersion(str(error)) from error
    except ValidationError as error:
        raise BundleInvalid(f"event {recorded.seq} is not what a {recorded.type} is") from error


def _check_envelope(conversation: Conversation, recorded: Recorded, now_ms: int) -> None:
    """Checks what any event may be wrong in."""
    if (recorded.seq == 1) != (recorded.type == "session.started"):
        raise BundleInvalid("a session begins with session.started, and only once")
    if conversation.ended:
        raise BundleInvalid("something follows the end of the session")
    if recorded.ts_ms > now_ms + _AHEAD_MS:
        raise BundleInvalid(f"event {recorded.seq} is from the future")
    if len(recorded.data.get("title") or "") > _TITLE_CHARS:
        raise BundleInvalid(f"event {recorded.seq} has a title of more than {_TITLE_CHARS} characters")
    if too_many(recorded.data):
        raise BundleInvalid(f"event {recorded.seq} has more than {VALUES} values")
    if not _finite(recorded.data):
        raise BundleInvalid(f"event {recorded.seq} has a number beyond {_LARGEST}")


def _check_sound(recorded: Recorded) -> None:
    if recorded.type not in ("audio.chunk", "input.audio"):
        if recorded.audio:
            raise BundleInvalid(f"event {recorded.seq} has sound and is no audio.chunk or input.audio")
        return
    if recorded.type == "input.audio" and not _is_placed(recorded.data):
        raise BundleInvalid(f"the audio of event {recorded.seq} has no place in its input")
    if recorded.type == "input.audio" and not recorded.audio:
        return  # incoming sound is not kept for ever
    try:
        packets = [packet_us(packet) for packet in unframe(recorded.audio or b"")]
    except ValueError as error:
        raise BundleInvalid(f"the audio of event {recorded.seq} is no Opus of ours") from error
    count = len(packets)
    if any(us != 1_000 * PACKET_MS for us in packets):
        raise BundleInvalid(f"the audio of event {recorded.seq} is not in packets of {PACKET_MS} ms")
    if recorded.type == "input.audio":
        _check_input(recorded, count)
    elif count * PACKET_MS > CHUNK_MS:
        raise BundleInvalid(f"the audio of event {recorded.seq} is longer than {CHUNK_MS} ms")
    elif count * PACKET_MS != recorded.data["ms"] or recorded.data["bytes"] != len(recorded.audio or b""):
        raise BundleInvalid(f"the audio of event {recorded.seq} is not as long as it says")


def _check_chunk(conversation: Conversation, recorded: Recorded) -> None:
    """Checks that audio is the next piece of its sentence, behind all sound of its answer: other formats are
    rendered in order, and places in it are looked for."""
    if recorded.type != "audio.chunk":
        return
    turn, number = conversation.turns.get(recorded.turn), recorded.data["sentence"]
    if turn is None or not 0 <= number < len(turn.sentences):
        raise BundleInvalid(f"event {recorded.seq} is the audio of no sentence before it")
    sentence = turn.sentences[number]
    if recorded.data["chunk"] != sentence.chunks:
        raise BundleInvalid(f"event {recorded.seq} is not the next audio of its sentence")
    if recorded.data["at_ms"] != turn.audio_ms:
        raise BundleInvalid(f"the audio of event {recorded.seq} does not follow that before it")
    if sentence.ms + recorded.data["ms"] > SENTENCE_MS:
        raise BundleInvalid(f"with event {recorded.seq} a sentence is longer than {SENTENCE_MS} ms")


def _check_place(conversation: Conversation, recorded: Recorded) -> None:
    """Checks that what an answer consists of is a turn's, and its sentence is known or the next one.

    Sentences follow each other in the text: all of them together are no longer than it.
    """
    turn, data = conversation.turns.get(recorded.turn), recorded.data
    if turn is None:
        if recorded.type in ("text.delta", "tool.called"):
            raise BundleInvalid(f"event {recorded.seq} is of a turn that was not asked before it")
        return
    known = turn.sentences
    if recorded.type == "sentence.ready":
        before = known[-1].end if known else 0
        if data["sentence"] != len(known) or not before <= data["start"] <= data["end"]:
            raise BundleInvalid(f"event {recorded.seq} is not the next sentence of its turn")
    elif recorded.type in _OF_SENTENCES and not 0 <= data["sentence"] < len(known):
        raise BundleInvalid(f"event {recorded.seq} is of a sentence that is not there")
    if recorded.type == "sentence.voiced" and data["at_ms"] != turn.audio_ms:
        raise BundleInvalid(f"the sentence of event {recorded.seq} does not follow the sound before it")


def _check_answer(conversation: Conversation, recorded: Recorded, written: Counter[TurnId]) -> None:
    """Checks that an answer is not too long, and that nothing is added to it after its end. `written`: the
    characters of each answer so far."""
    turn = conversation.turns.get(recorded.turn)
    if turn is None or recorded.type not in _OF_ANSWERS:
        return
    if turn.over:
        raise BundleInvalid(f"event {recorded.seq} is of an answer that is over")
    if recorded.type == "text.delta":
        written[turn.turn] += len(recorded.data["text"])
        if written[turn.turn] > _ANSWER_CHARS:
            raise BundleTooLarge(
                f"with event {recorded.seq} an answer has more than {_ANSWER_CHARS} characters"
            )
    elif recorded.type == "tool.called" and recorded.data["at"] < 0:
        raise BundleInvalid(f"event {recorded.seq} is of a call before its answer")


def _finite(data: Any) -> bool:
    """Whether no number in it is beyond `_LARGEST`."""
    rest = [data]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            rest += value.values()
        elif isinstance(value, list | tuple):
            rest += value
        elif isinstance(value, int | float) and abs(value) > _LARGEST:
            return False
    return True


def _is_placed(data: Mapping[str, Any]) -> bool:
    """Whether a piece of an input has the length of a recorded one, and lies behind the input's beginning."""
    return bool(data["at_ms"] >= 0 and 0 < data["ms"] <= _PIECE_MS)


def _check_input(recorded: Recorded, packets: int) -> None:
    """The last piece of an input is filled up with silence, which its milliseconds leave out."""
    audio, data = recorded.audio or b"", recorded.data
    if data["bytes"] != len(audio) or not data["ms"] <= packets * PACKET_MS <= _PIECE_MS:
        raise BundleInvalid(f"the audio of event {recorded.seq} is not as long as it says")
    if data["sha256"] != sha256(audio).hexdigest():
        raise BundleInvalid(f"the audio of event {recorded.seq} is not what was heard")
