// Events of a session, by type (docs/protocol.md). Written by "make schemas"; do not edit.

export type SessionEvent = {
  [T in keyof EventData]: {
    /** Counts from 1 without gaps, and is the cursor. */
    seq: number;
    /** The `seq` of the request that the event belongs to. */
    turn: number | null;
    /** Unix time in milliseconds. */
    ts: number;
    type: T;
    data: EventData[T];
    /** The sound of an `audio.chunk`. */
    audio: Uint8Array | null;
  };
}[keyof EventData];

export interface EventData {
  "answer.cited": AnswerCited;
  "audio.chunk": AudioChunk;
  "call.connected": CallConnected;
  "call.hung_up": CallHungUp;
  "call.transferred": CallTransferred;
  "character.deleted": CharacterDeleted;
  "character.saved": CharacterSaved;
  "document.added": DocumentAdded;
  "document.failed": DocumentFailed;
  "document.progressed": DocumentProgressed;
  "document.removed": DocumentRemoved;
  "dtmf.received": DtmfReceived;
  "input.audio": InputAudio;
  "input.cleared": InputCleared;
  "input.closed": InputClosed;
  "input.idled": InputIdled;
  "input.opened": InputOpened;
  "input.progress": InputProgress;
  "item.added": ItemAdded;
  "item.removed": ItemRemoved;
  "item.truncated": ItemTruncated;
  "member.added": MemberAdded;
  "member.removed": MemberRemoved;
  "narration.failed": NarrationFailed;
  "narration.ready": NarrationReady;
  "narration.requested": NarrationRequested;
  "notification.raised": NotificationRaised;
  "notifications.delivered": NotificationsDelivered;
  "owner.changed": OwnerChanged;
  "passages.failed": PassagesFailed;
  "passages.found": PassagesFound;
  "playback.ended": PlaybackEnded;
  "playback.flushed": PlaybackFlushed;
  "playback.heard": PlaybackHeard;
  "playback.paused": PlaybackPaused;
  "playback.resumed": PlaybackResumed;
  "preferences.changed": PreferencesChanged;
  "realtime.configured": RealtimeConfigured;
  "response.asked": ResponseAsked;
  "sentence.completed": SentenceCompleted;
  "sentence.failed": SentenceFailed;
  "sentence.ready": SentenceReady;
  "sentence.skip_requested": SentenceSkipRequested;
  "sentence.skipped": SentenceSkipped;
  "sentence.voiced": SentenceVoiced;
  "session.end_requested": SessionEndRequested;
  "session.ended": SessionEnded;
  "session.renamed": SessionRenamed;
  "session.started": SessionStarted;
  "settings.changed": SettingsChanged;
  "share.created": ShareCreated;
  "share.revoked": ShareRevoked;
  "speech.discarded": SpeechDiscarded;
  "speech.ended": SpeechEnded;
  "speech.started": SpeechStarted;
  "stream.appended": StreamAppended;
  "stream.closed": StreamClosed;
  "stream.created": StreamCreated;
  "stream.forked": StreamForked;
  "stream.named": StreamNamed;
  "stream.read": StreamRead;
  "text.completed": TextCompleted;
  "text.delta": TextDelta;
  "tool.called": ToolCalled;
  "tool.completed": ToolCompleted;
  "tool.failed": ToolFailed;
  "tool.started": ToolStarted;
  "transcript.compared": TranscriptCompared;
  "transcript.failed": TranscriptFailed;
  "transcript.final": TranscriptFinal;
  "transcript.partial": TranscriptPartial;
  "turn.completed": TurnCompleted;
  "turn.failed": TurnFailed;
  "turn.requested": TurnRequested;
  "turn.resumed": TurnResumed;
  "turn.started": TurnStarted;
  "turn.stop_requested": TurnStopRequested;
  "turn.stopped": TurnStopped;
}

export type AnswerCited = { "supports": Array<Support>; };

export type AudioChunk = { "sentence": number; "chunk": number; "at_ms": number; "ms": number; "codec": "opus"; "bytes": number; "last": boolean; };

export type CallConnected = { "call": string; "connection": string; "provider": "twilio" | "telnyx"; "provider_call": string; "stream": string; "caller": string; "called": string; };

export type CallHungUp = { "call": string; };

export type CallTransferred = { "call": string; "to": string; };

export type CharacterDeleted = { "character": string; };

export type CharacterSaved = { "character": string; "name": string; "persona": string; "voice": string | null; "language": string | null; "collections": Array<string>; };

export type DocumentAdded = { "view": DocumentView; };

export type DocumentFailed = { "document": string; "code": string; "message": string; };

export type DocumentProgressed = { "document": string; "name": string; "state": "waiting" | "reading" | "embedding"; "done": number; "bytes": number; };

export type DocumentRemoved = { "document": string; };

export type DocumentView = { "id": string; "collection": string; "title": string; "media_type": "application/pdf" | "application/vnd.openxmlformats-officedocument.wordprocessingml.document" | "text/html" | "text/markdown" | "text/plain"; "name": string; "language": string; "characters": number; "pages": number | null; "chunks": number; "sha256": string; };

export type DtmfReceived = { "call": string; "digit": string; };

export type EndpointingSettings = { "threshold": number; "min_speech_ms": number; "silence_ms": number; "prefix_padding_ms": number; "max_utterance_s": number; "speculate_ms": number | null; "speculate_elsewhere_ms": number | null; "hint": boolean; "complete_ms": number; "doubtful_ms": number; "incomplete_ms": number; };

export type FunctionCall = { "call": string; "name": string; "arguments": string; };

export type FunctionOffer = { "name": string; "description": string; "parameters": Record<string, JsonValue>; };

export type GivenMessage = { "role": "system" | "user" | "assistant" | "tool"; "content": string; "calls": Array<FunctionCall>; "call": string | null; };

export type HeardWord = { "start": number; "end": number; "start_ms": number; "end_ms": number; "speaker": string; };

export type InputAudio = { "input": string; "at_ms": number; "ms": number; "codec": "opus"; "bytes": number; "sha256": string; };

export type InputCleared = { "input": string; };

export type InputClosed = { "input": string; "ms": number; "reason": "client" | "end" | "cut" | "session_ended" | "failed"; "code": string; "message": string; };

export type InputIdled = { "input": string; "start_ms": number; "end_ms": number; };

export type InputOpened = { "input": string; "source": "microphone" | "file"; "format": string; "rate": number; "at_ms": number; "name": string; "total_ms": number | null; "reference": string; "language": string; "settings": ListeningSettings; };

export type InputProgress = { "input": string; "ms": number; };

export type ItemAdded = { "item": Record<string, JsonValue>; "after": string | null; "committed": boolean; };

export type ItemRemoved = { "item": string; };

export type ItemTruncated = { "item": string; "content_index": number; "audio_end_ms": number; };

export type JsonValue = unknown;

export type KeptReading = { "session": string; "turn": number; "again": Array<TextPart>; };

export type ListeningSettings = { "mode": "realtime" | "quality" | "legacy"; "compare": boolean; "turn_detection": "vad" | "manual"; "endpointing": EndpointingSettings; "partials_ms": number; "language": string | null; "provider": string | null; "prompt": string; "translate": boolean; "reply": boolean; "barge_in": boolean; "hold_ms": number; "interrupt_ms": number; "distant_db": number | null; "record": boolean; };

export type MemberAdded = { "principal": string; };

export type MemberRemoved = { "principal": string; };

export type NarrationFailed = { "session": string; "code": string; "message": string; };

export type NarrationReady = { "session": string; "chunks": number; "missing": number; "audio_ms": number; };

export type NarrationRequested = { "session": string; "by": "auto" | "user"; "voices": Array<VoiceMark>; "again": Array<TextPart>; };

export type NotificationRaised = { "kind": "tts_ready" | "tts_failed"; "story": string; "scene": string; "session": string; "chunk_count": number; "auto_play": boolean; "code": string | null; "message": string | null; };

export type NotificationsDelivered = { "upto": number; };

export type NumberedPassage = { "collection": string; "document": string; "title": string; "media_type": "application/pdf" | "application/vnd.openxmlformats-officedocument.wordprocessingml.document" | "text/html" | "text/markdown" | "text/plain"; "page": number | null; "headings": Array<string>; "start": number; "end": number; "text": string; "score": number; "strategy": "vector" | "keyword" | "hybrid" | "two_stage"; "number": number; };

export type OwnerChanged = { "epoch": number; "node": string; };

export type PassagesFailed = { "question": string; "collections": Array<string>; "strategy": "vector" | "keyword" | "hybrid" | "two_stage"; "code": string; "message": string; };

export type PassagesFound = { "question": string; "collections": Array<string>; "strategy": "vector" | "keyword" | "hybrid" | "two_stage"; "passages": Array<NumberedPassage>; "ms": number; };

export type PauseSettings = { "sentence_ms": number | null; "paragraph_ms": number | null; };

export type PlaybackEnded = { "heard_ms": number; "underruns": number; };

export type PlaybackFlushed = { "reason": "barge_in" | "user" | "merged" | "stopped"; };

export type PlaybackHeard = { "heard_ms": number; };

export type PlaybackPaused = { "by": "user" | "voice"; };

export type PlaybackResumed = { "by": "user" | "voice"; };

export type Preferences = { "tts_enabled": boolean; "auto_play_last_scene": boolean; "realtime_tts_enabled": boolean; "min_sentence_length": number; "default_voice": string | null; "speech_speed": number; "style": "neutral" | "calm" | "cheerful" | "serious" | "sad" | "excited" | "whisper" | null; "pronunciations": Array<PronunciationEntry>; "tts_provider": string | null; "tts_timeout": number | null; "tts_extra_params": Record<string, string | number | boolean>; };

export type PreferencesChanged = { "preferences": Preferences; };

export type PronunciationEntry = { "word": string | null; "pattern": string | null; "respelling": string | null; "ipa": string | null; "case_sensitive": boolean; "language": string | null; "origin": "session" | "user" | "server"; };

export type RealtimeConfigured = { "config": Record<string, JsonValue>; "created": boolean; "secret": string; };

export type ResponseAsked = { "conversation": "auto" | "none"; "metadata": Record<string, string> | null; "config": Record<string, JsonValue>; };

export type SamplingSettings = { "top_p": number | null; "seed": number | null; "stop": Array<string>; "presence_penalty": number | null; "frequency_penalty": number | null; "json_schema": Record<string, JsonValue> | null; };

export type SearchToolConfig = { "strategy": "vector" | "keyword" | "hybrid" | "two_stage"; "top_k": number; };

export type SentenceCompleted = { "sentence": number; "at_ms": number; "ms": number; "made_ms": number | null; };

export type SentenceFailed = { "sentence": number; "code": string; "message": string; };

export type SentenceReady = { "sentence": number; "start": number; "end": number; "spoken": string; };

export type SentenceSettings = { "min_length": number; "first_length": number | null; "first_threshold": number | null; "threshold": number | null; "max_length": number; };

export type SentenceSkipRequested = { "sentence": number; };

export type SentenceSkipped = { "sentence": number; };

export type SentenceVoiced = { "sentence": number; "voice": string; "at_ms": number; "words": Array<Word>; "ttfb_ms": number | null; "provider": string; "ignored": Array<string>; };

export type SessionEndRequested = { "reason": "user" | "idle" | "deleted" | "done"; };

export type SessionEnded = { "reason": "user" | "idle" | "deleted" | "done"; };

export type SessionRenamed = { "title": string; "by": "user" | "first_words"; };

export type SessionSettings = { "voice": string; "language": string; "speech_speed": number; "speak": boolean; "system_prompt": string; "max_tokens": number; "temperature": number; "sentences": SentenceSettings; "tts_provider": string | null; "tts_timeout_s": number | null; "tts_extra": Record<string, string | number | boolean>; "style": "neutral" | "calm" | "cheerful" | "serious" | "sad" | "excited" | "whisper" | null; "instructions": string; "pauses": PauseSettings; "emoji": "silent" | "named"; "pronunciations": Array<PronunciationEntry>; "listening": ListeningSettings; "llm_provider": string | null; "llm_model": string | null; "sampling": SamplingSettings; "tools": ToolSettings; "collections": Array<string>; "search": SearchToolConfig; "character": string | null; "character_seq": number; };

export type SessionStarted = { "settings": SessionSettings; "title": string; "kind": "session" | "story" | "narration" | "user" | "thread" | "collection" | "completion" | "stream"; "principal": string; "parent": string | null; "parent_seq": number | null; "imported_from": string | null; };

export type SettingsChanged = { "settings": SessionSettings; };

export type ShareCreated = { "share": string; "expires_ms": number | null; "label": string; "session": string | null; };

export type ShareRevoked = { "share": string; };

export type SpeechDiscarded = { "input": string; "utterance": number; "at_ms": number; };

export type SpeechEnded = { "input": string; "utterance": number; "start_ms": number; "end_ms": number; "at_ms": number; "reason": "silence" | "commit" | "max_length" | "closed"; };

export type SpeechMark = { "start": number; "end": number; "kind": "break" | "rate" | "say-as" | "phoneme"; "value": string; };

export type SpeechStarted = { "input": string; "utterance": number; "at_ms": number; };

export type StreamAppended = { "bytes": number; "more": boolean; "producer": string; "epoch": number; "number": number; "writer_seq": string; };

export type StreamClosed = { "producer": string; "epoch": number; "number": number; };

export type StreamCreated = { "content_type": string; "ttl_s": number | null; "expires_at": string | null; "forked_from": string; "fork_offset": number | null; "fork_sub_offset": number; };

export type StreamForked = { "name": string; "session": string; };

export type StreamNamed = { "session": string; };

export type StreamRead = Record<string, unknown>;

export type Support = { "number": number; "start": number; "end": number; "by": "marker" | "words"; };

export type TextCompleted = { "chars": number; "finish": "stop" | "length" | "verbatim" | "tool_calls"; "tokens_in": number; "tokens_out": number; "ttft_ms": number | null; "provider": string; "model": string; };

export type TextDelta = { "at": number; "text": string; };

export type TextPart = { "start": number; "end": number; };

export type ToolCalled = { "call": string; "name": string; "arguments": string; "place": "server" | "client"; "round": number; "at": number; };

export type ToolCompleted = { "call": string; "output": string; "ms": number; "cut": boolean; };

export type ToolFailed = { "call": string; "code": string; "message": string; "ms": number; };

export type ToolSettings = { "registered": Array<string>; "functions": Array<FunctionOffer>; "choice": string; "parallel": boolean; };

export type ToolStarted = { "call": string; };

export type TranscriptCompared = { "input": string; "utterance": number; "audio_ms": number; "ways": Array<WayReport>; "words": number; "differences": Array<WordDifference>; };

export type TranscriptFailed = { "input": string; "utterance": number; "mode": "realtime" | "quality" | "legacy"; "code": string; "message": string; };

export type TranscriptFinal = { "input": string; "utterance": number; "text": string; "mode": "realtime" | "quality" | "legacy"; "engine": string; "language": string; "words": Array<HeardWord>; "start_ms": number; "end_ms": number; "taken": "turn" | "joined" | "kept" | "backchannel" | "nothing" | "noted"; "after_ms": number; "decode_ms": number; "cpu_ms": number; "revisions": number; };

export type TranscriptPartial = { "input": string; "utterance": number; "text": string; "stable": number; "at_ms": number; };

export type TurnCompleted = { "sentences": number; "audio_ms": number; "ttfa_ms": number | null; };

export type TurnFailed = { "stage": "text" | "speech" | "owner"; "code": string; "message": string; "retryable": boolean; };

export type TurnRequested = { "kind": "prompt" | "text"; "text": string; "settings": SessionSettings; "marks": Array<SpeechMark>; "voices": Array<VoiceMark>; "keeps": KeptReading | null; "input": string | null; "utterances": Array<number>; "merges": number | null; "given": Array<GivenMessage> | null; "by": string; "narrate": boolean | null; "traceparent": string; "result_of": number | null; "replaces": number | null; "continues": number | null; };

export type TurnResumed = { "epoch": number; "node": string; "chars": number; "sentences": number; };

export type TurnStarted = { "epoch": number; "node": string; };

export type TurnStopRequested = { "reason": "user" | "barge_in" | "merged"; "by": string; };

export type TurnStopped = { "reason": "user" | "barge_in" | "merged" | "session_ended" | "forked"; };

export type VoiceMark = { "start": number; "end": number; "kind": "voice"; "value": string; };

export type WayReport = { "mode": "realtime" | "quality" | "legacy"; "engine": string; "text": string; "after_ms": number; "decode_ms": number; "cpu_ms": number; "revisions": number; "word_errors": number | null; };

export type Word = { "start": number; "end": number; "start_ms": number; "end_ms": number; };

export type WordDifference = { "left": string; "right": string; };
