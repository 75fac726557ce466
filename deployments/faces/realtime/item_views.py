"""Items and responses as Realtime clients see them."""

from typing import Any

from pipeline.session_state.conversation_items import Item, Items
from pipeline.session_state.llm_context import Turns, text_of
from pipeline.session_state.turn_state import TurnState

Shown = dict[str, Any]


def shown_item(item: Item, turns: Turns, *, begun: bool = False) -> Shown:
    """`begun`: it has been announced, and nothing of it is there yet."""
    status = _status(item, turns, begun=begun)
    base: Shown = {"id": item.id, "object": "realtime.item"}
    match item.kind:
        case "call":
            return {
                **base,
                "type": "function_call",
                "status": status,
                "name": item.name,
                "call_id": item.call,
                "arguments": "" if begun else item.arguments,
            }
        case "result":
            return {**base, "type": "function_call_output", "call_id": item.call, "output": item.output}
        case "answer":
            content = [] if begun else [_spoken_part(turns[item.turn], item)]
        case "spoken":
            content = [{"type": "input_audio", "transcript": item.text}]
        case "asked":
            content = [{"type": "input_text", "text": text_of(item, turns)}]
        case _:
            content = item.parts
    return {**base, "type": "message", "status": status, "role": item.role, "content": content}


def _status(item: Item, turns: Turns, *, begun: bool) -> str:
    turn = turns.get(item.turn)
    if begun or (item.kind == "answer" and turn is not None and not turn.over):
        return "in_progress"
    if item.kind == "answer" and turn is not None and (turn.status != "completed" or turn.finish == "length"):
        return "incomplete"
    return "completed"


def _spoken_part(turn: TurnState, item: Item) -> Shown:
    """A truncated answer has no transcript of what nobody heard."""
    text = turn.answer if item.end_ms is None else turn.heard_until(item.end_ms)
    if turn.settings.speak:
        return {"type": "output_audio", "transcript": text}
    return {"type": "output_text", "text": text}


def shown_response(items: Items, turns: Turns, turn: TurnState, output: list[Shown]) -> Shown:
    """The response that a turn is, as far as it is."""
    asked = items.asked.get(turn.turn)
    config = items.config_of(turn.turn)
    sound = config.get("audio", {}).get("output", {})
    status, details = _outcome(turn)
    return {
        "id": items.response_id(turn.turn),
        "object": "realtime.response",
        "status": status,
        "status_details": details,
        "output": output,
        "conversation_id": None if items.outside(turn.turn) else f"conv_{items.tag}",
        "output_modalities": ["audio" if turn.settings.speak else "text"],
        "max_output_tokens": config.get("max_output_tokens", "inf"),
        "audio": {
            "output": {"format": sound.get("format"), "voice": sound.get("voice", turn.settings.voice)}
        },
        "usage": _usage(turn) if turn.over else None,
        "metadata": None if asked is None else asked.metadata,
    }


def _outcome(turn: TurnState) -> tuple[str, Shown | None]:
    match turn.status:
        case "completed" if turn.finish == "length":
            return "incomplete", {"type": "incomplete", "reason": "max_output_tokens"}
        case "completed":
            return "completed", None
        case "stopped":
            spoken = turn.stopping in ("barge_in", "merged")
            return "cancelled", {
                "type": "cancelled",
                "reason": "turn_detected" if spoken else "client_cancelled",
            }
        case "failed":
            error = turn.error or {}
            failure = {"type": "server_error", "code": error.get("code"), "message": error.get("message")}
            return "failed", {"type": "failed", "error": failure}
        case _:
            return "in_progress", None


def _usage(turn: TurnState) -> Shown:
    """Tokens are text: sound is made of it, and writing down what was said is not counted."""
    tokens_in, tokens_out = turn.tokens
    return {
        "total_tokens": tokens_in + tokens_out,
        "input_tokens": tokens_in,
        "output_tokens": tokens_out,
        "input_token_details": {
            "text_tokens": tokens_in,
            "audio_tokens": 0,
            "image_tokens": 0,
            "cached_tokens": 0,
            "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": tokens_out, "audio_tokens": 0},
    }
