"""Every name that a trace of ours contains. Those of OpenTelemetry are copied: they still change there.

tests/pipeline/observability compares them with the installed conventions, and docs/tracing.md with this
module.
"""

from typing import Final

SCOPE: Final = "rhapsode"

# Spans.
TURN: Final = "turn"
TRANSCRIBE: Final = "transcribe"
RETRIEVE: Final = "retrieve"
CHAT: Final = "chat"
EXECUTE_TOOL: Final = "execute_tool"
SYNTHESIZE: Final = "synthesize"
LISTEN: Final = "listen"
UTTERANCE: Final = "utterance"
REPLICA_CHAT: Final = "replica chat"
REPLICA_SYNTHESIZE: Final = "replica synthesize"
REPLICA_TRANSCRIBE: Final = "replica transcribe"
REPLICA_RETRIEVE: Final = "replica retrieve"

# Events within spans.
BEGUN: Final = "rhapsode.turn.begun"
FIRST_DELTA: Final = "rhapsode.first_delta"
FIRST_CHUNK: Final = "rhapsode.first_chunk"
FIRST_AUDIO: Final = "rhapsode.first_audio"
RETRIED: Final = "rhapsode.retried"
RECORDED: Final = "rhapsode.recorded"

# Attributes, by OpenTelemetry's conventions for generative models.
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
CONVERSATION: Final = "gen_ai.conversation.id"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
OUTPUT_TYPE: Final = "gen_ai.output.type"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_CALL: Final = "gen_ai.tool.call.id"
TOOL_TYPE: Final = "gen_ai.tool.type"
ERROR_TYPE: Final = "error.type"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"
QUERY_TEXT: Final = "gen_ai.retrieval.query.text"

# Attributes of ours.
TURN_NUMBER: Final = "rhapsode.turn"
TURN_KIND: Final = "rhapsode.turn.kind"
TURN_OUTCOME: Final = "rhapsode.turn.outcome"
STOP_REASON: Final = "rhapsode.turn.stop_reason"
EPOCH: Final = "rhapsode.owner.epoch"
NODE: Final = "rhapsode.owner.node"
RESUMED: Final = "rhapsode.owner.resumed"
WAIT_MS: Final = "rhapsode.wait_ms"
TTFA_MS: Final = "rhapsode.time_to_first_audio_ms"
AUDIO_MS: Final = "rhapsode.audio_ms"
SENTENCES: Final = "rhapsode.sentences"
SENTENCE: Final = "rhapsode.sentence"
SENTENCE_CHARS: Final = "rhapsode.sentence.chars"
SENTENCE_TEXT: Final = "rhapsode.sentence.text"
SKIPPED: Final = "rhapsode.sentence.skipped"
VOICE: Final = "rhapsode.voice"
ATTEMPT: Final = "rhapsode.attempt"
PASSAGES: Final = "rhapsode.passages"
COLLECTIONS: Final = "rhapsode.collections"
STRATEGY: Final = "rhapsode.search.strategy"
ROUND: Final = "rhapsode.tool.round"
MODE: Final = "rhapsode.listening.mode"
ENGINE: Final = "rhapsode.engine"
LANGUAGE: Final = "rhapsode.language"
DECODE_MS: Final = "rhapsode.decode_ms"
CPU_MS: Final = "rhapsode.cpu_ms"
REVISIONS: Final = "rhapsode.revisions"
TRANSCRIPT: Final = "rhapsode.transcript"
CANCELLED: Final = "rhapsode.cancelled"
QUEUED_MS: Final = "rhapsode.queued_ms"
COMMIT_MS: Final = "rhapsode.commit_ms"
FROM_SEQ: Final = "rhapsode.listen.from"
SPEED: Final = "rhapsode.listen.speed"
EVENTS: Final = "rhapsode.listen.facts"
END: Final = "rhapsode.listen.end"
LINK: Final = "rhapsode.link"

# Of a resource: the process that a span comes from.
SERVICE: Final = "service.name"
VERSION: Final = "service.version"
INSTANCE: Final = "service.instance.id"
PART: Final = "rhapsode.part"

# Values.
OP_TURN: Final = "invoke_agent"
OP_CHAT: Final = "chat"
OP_TOOL: Final = "execute_tool"
OP_RETRIEVE: Final = "retrieval"
OP_SYNTHESIZE: Final = "text_to_speech"
OP_TRANSCRIBE: Final = "speech_to_text"
SPEECH: Final = "speech"
FUNCTION: Final = "function"
LINK_TAKEOVER: Final = "takeover"
LINK_REPLAY: Final = "replay"
LINK_LIVE: Final = "live"
LINK_UTTERANCE: Final = "utterance"

PERSONAL: Final = frozenset(
    {INPUT_MESSAGES, OUTPUT_MESSAGES, TOOL_ARGUMENTS, TOOL_RESULT, QUERY_TEXT, SENTENCE_TEXT, TRANSCRIPT}
)
"""Only where `tracing.content` asks for it."""
