"""Events and chat answers are read alike, however their bytes were cut on the way."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engines.http.server_events import DONE, BadAnswer, Document, EventReader
from pipeline.engines.llm.openai_chat import ChatAnswer, MayPass
from pipeline.engines.ports import Completion


def read(*parts: bytes) -> list[Document]:
    reader = EventReader()
    return [document for part in parts for document in reader.feed(part)] + reader.finish()


def answered(*documents: dict[str, Any]) -> tuple[list[str], ChatAnswer]:
    answer = ChatAnswer("cloud", "fox-1")
    texts = [answer.take(document) for document in documents]
    return [text for text in texts if text], answer


def chunk(text: str, **rest: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}}]} | rest


# ---------------------------------------------------------------- lines


texts = st.text(st.characters(codec="utf-8"), max_size=20)
line_ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[str], bytes]:
    """Deltas, and how some server sends them: any line ends, comments, names, several lines of data."""
    deltas, sent = draw(st.lists(texts, max_size=6)), b"\xef\xbb\xbf" * draw(st.booleans())
    for delta in deltas:
        end = draw(line_ends)
        pretty = draw(st.sampled_from([None, 1]))
        data = json.dumps(chunk(delta), ensure_ascii=draw(st.booleans()), indent=pretty)
        if draw(st.booleans()):
            sent += draw(st.sampled_from([b": ping", b"event: message", b"id: 7", b"retry: 3", b":"])) + end
        for line in data.split("\n"):
            sent += b"data:" + b" " * draw(st.booleans()) + line.encode() + end
        sent += end * draw(st.integers(0 if pretty is None else 1, 2))
    return deltas, sent + b"data: [DONE]" + draw(line_ends) * draw(st.integers(0, 2))


@given(streams(), st.data())
def test_any_cutting_of_the_bytes_gives_the_same_deltas(
    stream: tuple[list[str], bytes], data: st.DataObject
) -> None:
    deltas, sent = stream
    places = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=12)))
    parts = [sent[start:end] for start, end in pairwise([0, *places, len(sent)])]
    whole, cut, bytewise = (
        read(*pieces) for pieces in ([sent], parts, [sent[at : at + 1] for at in range(len(sent))])
    )
    assert whole == cut == bytewise
    assert whole[-1] is DONE
    found, answer = answered(*whole)
    assert found == [delta for delta in deltas if delta]
    assert answer.done


@given(st.binary(max_size=200), st.integers(0, 200))
def test_all_bytes_are_documents_or_a_bad_answer(noise: bytes, place: int) -> None:
    try:
        documents = read(b"data: " + noise[:place], noise[place:])
    except BadAnswer:
        return
    assert all(isinstance(document, dict) for document in documents)


def test_a_document_is_there_with_its_last_line() -> None:
    reader = EventReader()
    assert reader.feed(b'data: {"a": 1}\n') == [{"a": 1}]
    assert reader.feed(b'data: {"a":\ndata: 2}\r') == [{"a": 2}]
    assert reader.feed(b"\n\r\n") == []


def test_an_event_that_is_cut_off_at_the_end_is_nothing() -> None:
    assert read(b'data: {"a": 1}\n\ndata: {"a"') == [{"a": 1}]
    assert read(b'data: {"a": 1}') == [{"a": 1}]


@pytest.mark.parametrize(
    "empty", [b"data:\n\n", b"data: \n\n", b"data\n\n", b"\n\n\n", b": ping\n\n", b"datum: 1\n\n"]
)
def test_events_without_data_are_nothing(empty: bytes) -> None:
    assert read(empty, b'data: {"a": 1}\n\n') == [{"a": 1}]


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"data: {nonsense\n\n", "no JSON"),
        (b"data: [1, 2]\n\n", "no JSON object"),
        (b"data: \xff\xfe\xfa\n\n", "no JSON"),
        (b"data: " + b"[" * 100_000 + b"\n\n", "no JSON"),
        (b"data: " + b"9" * 10_000 + b"\n\n", "no JSON"),
        (b"data: [\n" * 100, "an event that does not come to an end"),
    ],
)
def test_nonsense_is_refused_in_words(sent: bytes, says: str) -> None:
    with pytest.raises(BadAnswer, match=says):
        read(sent)


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    with pytest.raises(BadAnswer, match="a line that does not come to an end"):
        read(*[b"x" * 65_536] * 100)


# ---------------------------------------------------------------- answers


def test_an_answer_is_its_deltas_and_its_figures() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 2}
    found, answer = answered(
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        chunk("The", model="fox-1-2026"),
        chunk(" fox", usage=None),
        {"choices": [{"delta": {}, "finish_reason": "length"}]},
        {"choices": [], "usage": usage},
        DONE,
    )
    assert found == ["The", " fox"]
    assert answer.completion == Completion("length", 7, 2, "cloud", "fox-1-2026")


def test_a_stream_that_only_says_done_is_finished() -> None:
    _, answer = answered(chunk("The"))
    assert not answer.finished
    answer.take(DONE)
    assert answer.finished
    assert answer.completion == Completion("stop", provider="cloud", model="fox-1")


def test_thoughts_are_not_told_and_show_that_it_works() -> None:
    answer = ChatAnswer("cloud", "fox-1")
    for thought in ({"reasoning_content": "Hm."}, {"reasoning": "Hm."}, {"tool_calls": [{"index": 0}]}):
        assert answer.take({"choices": [{"delta": thought}]}) == ""
    for nothing in ({}, {"content": None}, {"content": ""}, None, "Hm.", []):
        assert answer.take({"choices": [{"delta": nothing}]}) is None


def test_a_refusal_is_told() -> None:
    assert answered({"choices": [{"delta": {"refusal": "I must not."}}]})[0] == ["I must not."]


def test_a_text_repeated_at_the_end_is_told_once() -> None:
    all_of_it = {"choices": [{"message": {"content": "The fox"}, "finish_reason": "stop"}]}
    assert answered(chunk("The"), chunk(" fox"), all_of_it)[0] == ["The", " fox"]
    assert answered(all_of_it)[0] == ["The fox"]


def test_a_second_answer_is_not_mixed_with_the_first() -> None:
    both = {"choices": [{"index": 1, "delta": {"content": "B"}}, {"index": 0, "delta": {"content": "A"}}]}
    assert answered(both)[0] == ["A"]


@pytest.mark.parametrize(
    ("deltas", "whole"),
    [
        (["\ud83e", "\udd8a."], "🦊."),
        (["A\ud83e", "", "\udd8a"], "A🦊"),
        (["\ud83e", "x"], "\ufffdx"),
        (["\udd8a"], "\ufffd"),
    ],
)
def test_halves_of_a_character_are_put_together_or_replaced(deltas: list[str], whole: str) -> None:
    found, _ = answered(*(chunk(delta) for delta in deltas))
    assert "".join(found) == whole
    assert "".join(found).encode()


@pytest.mark.parametrize(
    "usage", [[], 7, {"prompt_tokens": "7"}, {"prompt_tokens": -1}, {"prompt_tokens": 2**70}]
)
@pytest.mark.parametrize("model", [7, "", "x" * 129, "fox\n", "\x00"])
def test_figures_and_names_that_are_none_are_left_out(usage: Any, model: Any) -> None:
    _, answer = answered(chunk("A", usage=usage, model=model), DONE)
    assert answer.completion == Completion("stop", provider="cloud", model="fox-1")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "no", "code": 500}, MayPass),
        ({"message": "no", "code": "429"}, MayPass),
        ({"message": "no", "type": "server_error", "code": None}, MayPass),
        ({"message": "no", "code": "rate_limit_exceeded"}, MayPass),
        ({"message": "no", "code": 400}, BadAnswer),
        ({"message": "no", "type": ["odd"], "code": {"odd": 1}}, BadAnswer),
        ("no", BadAnswer),
        ([{"message": "no"}], BadAnswer),
    ],
)
def test_an_error_says_whether_it_may_pass(error: Any, kind: type[BadAnswer]) -> None:
    with pytest.raises(BadAnswer, match="failed: no") as raised:
        answered({"error": error})
    assert type(raised.value) is kind


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "message", "content", "index", "usage", "model", "error", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["choices", "usage", "error", "model"]), json_values), max_size=4
    )
)
def test_all_documents_give_text_or_a_bad_answer(documents: list[dict[str, Any]]) -> None:
    answer = ChatAnswer("cloud", "fox-1")
    for document in documents:
        try:
            text = answer.take(document)
        except BadAnswer:
            return
        assert text is None or isinstance(text, str)
    assert answer.completion.tokens_in >= 0
