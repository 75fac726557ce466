"""Errors of the surface that OpenAI's clients speak to."""

from schemas.errors import InputError, StateError


class ModelNotFound(InputError):
    """No model of this name, or none that does what is asked for."""

    code = "model.not_found"


class ResponseNotFound(InputError):
    """No response of this id, or it is another principal's, or it was not stored."""

    code = "response.not_found"


class PreviousResponseNotFound(InputError):
    """The response that a request goes on from is not there."""

    code = "previous_response_not_found"


class UnsupportedParameter(InputError):
    """OpenAI knows the field, and what is asked here does not."""

    code = "unsupported_parameter"


class UnsupportedValue(InputError):
    """OpenAI knows the value, and what is asked here does not."""

    code = "unsupported_value"


class MissingParameter(InputError):
    code = "missing_required_parameter"


class AnswerStopped(StateError):
    """The answer was stopped, or its last client left, before it was complete."""

    code = "answer.stopped"
