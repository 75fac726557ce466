"""The table of faces in docs/clients.md: each capability of a face beside a test that shows it."""

import ast
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
DOCUMENT: Final = ROOT / "docs" / "clients.md"
CAPABILITIES: Final = ("create", "resume", "many listeners", "barge-in", "tools", "audio out", "audio in")

SHOWN: Final[dict[str, dict[str, dict[str, str]]]] = {
    "native WebSocket": {
        "deployments/native/test_narrated_turns.py": {
            "create": "test_a_prompt_becomes_text_and_sentences_and_sound",
            "many listeners": "test_two_listeners_hear_the_same_bytes_whenever_they_come",
            "audio out": "test_the_first_sentence_sounds_before_the_last_is_written",
        },
        "pipeline/stt/inputs/test_interruption.py": {
            "barge-in": "test_speech_over_an_answer_stops_it",
        },
        "pipeline/stt/inputs/test_spoken_turn.py": {
            "audio in": "test_a_spoken_question_is_asked_and_answered",
        },
        "deployments/test_resume_through_cuts.py": {
            "resume": "test_a_native_socket_goes_on",
        },
        "deployments/test_faces_together.py": {
            "tools": "test_a_function_of_the_server_is_told_by_socket_and_by_server_sent_events",
        },
    },
    "native HTTP and SSE": {
        "deployments/native/test_listening_cursors.py": {
            "create": "test_sse_says_hello_then_the_events_with_their_cursors_then_why_it_ends",
            "audio out": "test_sse_carries_audio_when_asked",
        },
        "deployments/native/input/test_recording_uploads.py": {
            "audio in": "test_a_recording_is_heard_in_every_container",
        },
        "deployments/test_resume_through_cuts.py": {
            "resume": "test_native_events_go_on",
        },
        "deployments/test_faces_together.py": {
            "many listeners": "test_two_listeners_of_each_face_hear_one_answer_while_it_is_given",
            "tools": "test_a_function_of_the_server_is_told_by_socket_and_by_server_sent_events",
        },
    },
    "Chat Completions": {
        "deployments/openai/test_chat_completions.py": {
            "create": "test_a_completion_is_a_session_that_closes",
            "tools": "test_calls_are_told_and_their_results_lead_on",
            "audio out": "test_a_spoken_answer_is_streamed_sound_and_words_together",
            "audio in": "test_a_spoken_part_is_written_down_and_asked",
        },
        "deployments/test_resume_through_cuts.py": {
            "resume": "test_a_completion_goes_on",
        },
        "deployments/test_faces_together.py": {
            "many listeners": "test_an_answer_is_heard_by_others_while_its_client_is_told_it",
        },
    },
    "Responses": {
        "deployments/responses/test_stored_responses.py": {
            "create": "test_a_response_goes_on_from_another_in_its_session",
            "tools": "test_a_function_is_called_and_its_result_told",
        },
        "deployments/test_resume_through_cuts.py": {
            "resume": "test_a_response_goes_on",
        },
        "deployments/test_faces_together.py": {
            "many listeners": "test_an_answer_is_heard_by_others_while_its_client_is_told_it",
        },
    },
    "Anthropic Messages": {
        "deployments/openai/test_anthropic_messages.py": {
            "create": "test_a_message_is_a_session_that_closes",
            "many listeners": "test_two_listeners_hear_the_session_of_a_message",
            "tools": "test_a_call_is_a_block_and_its_result_leads_on",
        },
        "deployments/test_resume_through_cuts.py": {
            "resume": "test_a_message_goes_on",
        },
    },
    "Realtime over WebSocket": {
        "deployments/realtime/test_realtime_conversation.py": {
            "create": "test_a_question_is_answered_in_text",
            "audio out": "test_an_answer_is_spoken_with_its_transcript",
        },
        "deployments/realtime/test_realtime_resume.py": {
            "many listeners": "test_two_connections_of_a_session_hear_the_same",
        },
        "deployments/realtime/test_realtime_speech.py": {
            "barge-in": "test_a_client_that_speaks_over_an_answer_ends_it",
            "audio in": "test_a_client_that_speaks_is_answered",
        },
        "deployments/realtime/test_realtime_functions.py": {
            "tools": "test_the_model_calls_and_goes_on_with_the_result",
        },
        "deployments/test_resume_through_cuts.py": {
            "resume": "test_a_realtime_session_goes_on",
        },
    },
    "Realtime over WebRTC": {
        "deployments/realtime/test_calls.py": {
            "tools": "test_the_model_calls_a_function_of_the_caller",
            "create": "test_a_form_brings_the_offer_and_the_configuration",
            "resume": "test_a_call_that_comes_back_goes_on_where_it_was",
            "many listeners": "test_a_call_is_told_what_a_websocket_is_told_and_hears_the_sound",
            "barge-in": "test_a_caller_is_understood_and_interrupts_an_answer_by_speech",
            "audio out": "test_a_call_is_told_what_a_websocket_is_told_and_hears_the_sound",
            "audio in": "test_a_caller_is_understood_and_interrupts_an_answer_by_speech",
        },
    },
    "telephone": {
        "deployments/telephone/test_phone_calls.py": {
            "many listeners": "test_a_call_is_heard_by_other_listeners",
            "create": "test_a_caller_hears_the_greeting_and_marks_record_what_was_heard",
            "resume": "test_a_call_whose_stream_breaks_goes_on_in_the_same_session",
            "barge-in": "test_speech_over_an_answer_clears_it_and_the_log_knows_what_was_heard",
            "tools": "test_the_model_hangs_up_after_its_answer_was_heard",
            "audio out": "test_a_caller_hears_the_greeting_and_marks_record_what_was_heard",
            "audio in": "test_the_words_of_a_caller_are_asked_and_answered",
        },
    },
    "UI stream": {
        "deployments/ui/test_ui_stream.py": {
            "create": "test_an_answer_streams_as_one_step_of_text",
            "tools": "test_a_call_of_the_server_is_a_step_with_its_output",
            "audio out": "test_sound_and_word_times_are_transient_and_leave_a_place_to_hear_them_again",
        },
        "deployments/test_resume_through_cuts.py": {
            "resume": "test_a_chat_of_the_ui_stream_is_whole_after_the_last_cut",
        },
        "deployments/test_faces_together.py": {
            "many listeners": "test_an_answer_is_heard_by_others_while_its_client_is_told_it",
        },
    },
    "MCP": {
        "deployments/mcp/test_mcp_face.py": {
            "create": "test_a_question_is_answered_in_a_session_that_goes_on",
            "audio out": "test_a_text_is_spoken_and_a_recording_written_down",
            "audio in": "test_a_text_is_spoken_and_a_recording_written_down",
        },
    },
    "Durable Streams": {
        "deployments/durable/test_streams.py": {
            "create": "test_an_append_larger_than_an_event_comes_back_whole",
        },
        "deployments/test_resume_through_cuts.py": {
            "resume": "test_a_session_that_is_read_as_a_durable_stream_goes_on",
        },
        "deployments/test_faces_together.py": {
            "many listeners": "test_two_listeners_of_each_face_hear_one_answer_while_it_is_given",
        },
    },
    "Wyoming": {
        "cluster/client/test_wyoming.py": {
            "create": "test_a_conversation_is_one_session",
            "resume": "test_speech_is_answered_by_speech_through_connections_that_break",
            "audio out": "test_text_becomes_speech_whole_and_in_pieces",
            "audio in": "test_speech_becomes_text",
        },
    },
    "Python client": {
        "client_libraries/test_conformance.py": {
            "tools": "test_a_function_of_the_server_is_told_to_all_listeners",
            "barge-in": "test_speech_over_an_answer_interrupts_it",
            "create": "test_a_prompt_is_answered_in_deltas",
            "resume": "test_connections_that_break_at_any_byte_lose_and_double_no_event",
            "audio in": "test_a_microphone_is_transcribed_and_answered_also_when_connections_break",
        },
        "client_libraries/test_python_client.py": {
            "audio out": "test_the_loudspeaker_gets_every_sample",
        },
        "deployments/test_faces_together.py": {
            "many listeners": "test_two_listeners_of_each_face_hear_one_answer_while_it_is_given",
        },
    },
    "JavaScript client": {
        "client_libraries/test_conformance.py": {
            "many listeners": "test_a_function_of_the_server_is_told_to_all_listeners",
            "tools": "test_a_function_of_the_server_is_told_to_all_listeners",
            "barge-in": "test_speech_over_an_answer_interrupts_it",
            "create": "test_a_prompt_is_answered_in_deltas",
            "resume": "test_connections_that_break_at_any_byte_lose_and_double_no_event",
            "audio in": "test_a_microphone_is_transcribed_and_answered_also_when_connections_break",
        },
        "browser/microphone/test_voice_element.py": {
            "audio out": "test_speech_is_answered_aloud_and_the_button_ends_it",
        },
    },
}
"""For each face: files under tests/, and in each the test of each capability."""

_NO_SOUND: Final = "requests and answers of the protocol are text"
_CLOSED: Final = (
    "the protocol takes no sound while it answers; a client that closes the connection stops the answer"
)
ABSENT: Final[dict[str, dict[str, str]]] = {
    "native HTTP and SSE": {
        "barge-in": "a recording is sent whole; speech over an answer needs the WebSocket",
    },
    "Chat Completions": {"barge-in": _CLOSED},
    "Responses": {"barge-in": _CLOSED, "audio out": _NO_SOUND, "audio in": _NO_SOUND},
    "Anthropic Messages": {"barge-in": _CLOSED, "audio out": _NO_SOUND, "audio in": _NO_SOUND},
    "UI stream": {
        "barge-in": "the chat is stopped by a request; its stream takes no sound",
        "audio in": "messages hold text and outputs of calls",
    },
    "MCP": {
        "resume": "each request stands alone; an answer that was cut is read with `read_session`",
        "many listeners": "an answer belongs to its request; its session is heard on other faces",
        "barge-in": "a recording is sent whole",
        "tools": "the face is a set of tools; calls within an answer are in its session",
    },
    "Durable Streams": dict.fromkeys(
        ("barge-in", "tools", "audio out", "audio in"), "streams are read and appended to; they ask nothing"
    ),
    "Wyoming": {
        "many listeners": "a connection belongs to one satellite",
        "barge-in": "a satellite sends sound or plays it; the protocol has no event for both",
        "tools": "the protocol has no calls; calls within an answer are in its session",
    },
}
"""For each face: the capabilities that its protocol does not have, and why."""

_BEGIN: Final = "<!-- the table begins: python -m tests.face_table -->\n"
_END: Final = "<!-- the table ends -->\n"


@cache
def _tests_in(file: str) -> frozenset[str]:
    """The names of the tests of a file under tests/; none where there is no such file."""
    path = ROOT / "tests" / file
    if not path.is_file():
        return frozenset()
    functions = (
        node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    )
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


def absent() -> list[str]:
    """The registry's tests that are not in the tree, its capabilities that are no column, and cells that have
    neither a test nor a reason, or both."""
    wrong = [
        f"{face}, {capability}: {file}::{test}"
        for face, files in SHOWN.items()
        for file, shown in files.items()
        for capability, test in shown.items()
        if capability not in CAPABILITIES or test not in _tests_in(file)
    ]
    return wrong + [
        f"{face}, {capability}: neither shown nor explained, or both"
        for face, files in SHOWN.items()
        for capability in CAPABILITIES
        if any(capability in shown for shown in files.values()) == (capability in ABSENT.get(face, {}))
    ]


def _cell(files: dict[str, dict[str, str]], capability: str) -> str:
    return next((f"[yes](../tests/{file})" for file, shown in files.items() if capability in shown), "–")


def _reasons(face: str) -> str:
    """A line with what the face does not have; capabilities with the same reason stand together."""
    named: dict[str, list[str]] = {}
    for capability, reason in ABSENT[face].items():
        named.setdefault(reason, []).append(capability)
    told = [f"{', '.join(names)} ({reason})" for reason, names in named.items()]
    return f"* {face}: {'; '.join(told)}."


def written(text: str) -> str:
    """The document with today's table in it."""
    rows = [["face", *CAPABILITIES], ["---"] * (len(CAPABILITIES) + 1)]
    rows += [[face, *(_cell(files, one) for one in CAPABILITIES)] for face, files in SHOWN.items()]
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    reasons = "\n".join(_reasons(face) for face in SHOWN if face in ABSENT)
    return f"{before}{_BEGIN}\n{lines}\n\nNot in the protocols:\n\n{reasons}\n\n{_END}{after}"


def main(arguments: Sequence[str]) -> int:
    text = DOCUMENT.read_text(encoding="utf-8")
    made = written(text)
    if made != text and "--check" not in arguments:
        DOCUMENT.write_text(made, encoding="utf-8")
        sys.stdout.write("docs/clients.md written\n")
    return 1 if made != text and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
