"""Signatures and messages of the providers, one by one."""

from hypothesis import given
from hypothesis import strategies as st

from deployments.faces.telephone.media_messages import StreamMedia, read_message
from deployments.faces.telephone.phone_input import FrameOrder
from deployments.faces.telephone.telephone_routes import signed_by_telnyx, signed_by_twilio
from schemas.errors import InputError
from tests.deployments.telephone.phone_provider import TELNYX_KEY, TELNYX_PUBLIC

FORM = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]
ADDRESS = "https://mycompany.com/myapp.php?foo=1&bar=2"


def test_the_signature_is_that_of_twilios_own_example() -> None:
    assert signed_by_twilio("RSOYDt4T1cUTdK1PDd93/VVr8B8=", "12345", ADDRESS, FORM)
    assert not signed_by_twilio("RSOYDt4T1cUTdK1PDd93/VVr8B8=", "12346", ADDRESS, FORM)
    assert not signed_by_twilio("", "12345", ADDRESS, FORM)


@given(signature=st.text(max_size=100), timestamp=st.text(max_size=20))
def test_no_text_passes_for_a_signature_of_telnyx(signature: str, timestamp: str) -> None:
    assert not signed_by_telnyx(signature, timestamp, TELNYX_PUBLIC, b"CallSid=1", 1_700_000_000)
    good = TELNYX_KEY.sign(b"1700000000|CallSid=1")
    assert not signed_by_telnyx(good.hex(), "1700000000", TELNYX_PUBLIC, b"CallSid=1", 1_700_000_000)


def refusal(text: str) -> InputError | None:
    try:
        read_message(text)
    except InputError as error:
        return error
    return None


@given(
    st.text(max_size=200)
    | st.from_regex(r'\{"event": "(start|media|mark|dtmf|stop|x)".{0,80}\}', fullmatch=True)
)
def test_any_text_is_a_message_or_an_error_with_its_field(text: str) -> None:
    error = refusal(text)
    assert error is None or error.field


@given(
    numbers=st.permutations(range(1, 30)),
    lost=st.sets(st.integers(1, 29), max_size=3),
)
def test_frames_come_out_in_the_order_of_their_numbers_each_once(numbers: list[int], lost: set[int]) -> None:
    order = FrameOrder()
    sent = [number for number in numbers if number not in lost]
    found = [
        int.from_bytes(each) for number in sent for each in order.push(StreamMedia(bytes([number]), number))
    ]
    assert found == sorted(set(found))
    assert set(found) <= set(sent)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_frames_that_change_places_a_little_are_all_heard(late: list[int]) -> None:
    """The first one begins; after it a frame is at most three places late."""
    order = FrameOrder()
    rest = sorted(range(2, len(late) + 2), key=lambda number: (number + late[number - 2], number))
    sent = [1, *rest]
    found = [
        int.from_bytes(each) for number in sent for each in order.push(StreamMedia(bytes([number]), number))
    ]
    kept = set(sent) - set(found)
    assert found == sorted(found)
    assert len(kept) <= 5
