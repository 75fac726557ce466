"""Errors of durable streams."""

from schemas.errors import InputError, StateError


class StreamNotFound(InputError):
    """No stream of this name, or it was deleted, or has expired."""

    code = "stream.not_found"


class StreamGone(InputError):
    """The stream was deleted and has forks, or what was asked for is not kept any more."""

    code = "stream.gone"


class StreamInvalid(InputError):
    """A header, an offset or a body that is none."""

    code = "stream.invalid"


class StreamReadOnly(InputError):
    """A session is read here; its own routes change it."""

    code = "stream.read_only"


class StreamConflict(StateError):
    """The stream is there and is another one, or takes no such bytes."""

    code = "stream.conflict"


class StreamFinished(StateError):
    """The stream is closed; `tail` is its last event with bytes."""

    code = "stream.closed"

    def __init__(self, message: str, *, tail: int) -> None:
        super().__init__(message)
        self.tail = tail


class ProducerFenced(StateError):
    """A later `epoch` of this producer has written."""

    code = "producer.fenced"

    def __init__(self, message: str, *, epoch: int) -> None:
        super().__init__(message)
        self.epoch = epoch


class ProducerGap(StateError):
    """The producer's batch before this one is missing; `expected` is the number of the next."""

    code = "producer.gap"

    def __init__(self, message: str, *, expected: int, received: int) -> None:
        super().__init__(message)
        self.expected = expected
        self.received = received
