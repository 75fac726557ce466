"""How much JSON is taken: told before it is read, and never of what makes sense."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import bounds
from schemas.bounds import VALUES, too_many, too_many_in

SMALL = 40
VALUE = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('a,[{":\\]} \n'), max_size=12),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.sampled_from('a,[":\\'), max_size=4), inner),
    max_leaves=60,
)


@given(VALUE)
def test_nothing_that_is_taken_has_too_many_values_by_its_text(value: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "VALUES", SMALL)
        if not too_many(value):
            assert not too_many_in(json.dumps(value).encode())


@pytest.mark.parametrize("one", [b"[]", b"{}", b"1", b'""', b'"a\\"b"', b'{"a":1}'])
def test_many_values_are_counted_whatever_they_are(one: bytes) -> None:
    assert too_many_in(b"[" + b",".join([one] * (3 * VALUES + 2)) + b"]")


@pytest.mark.parametrize("sign", [",", "[{", '\\",', "\\\\,"])
def test_a_long_text_is_one_value(sign: str) -> None:
    assert not too_many_in(json.dumps({"text": sign * 4 * VALUES}).encode())
