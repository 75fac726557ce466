"""Errors about the workers' records; the tree is in schemas/errors/__init__.py."""

from schemas.errors import InputError


class DeadLetterNotFound(InputError):
    """There is no such dead letter, or not any more: it was retried or dropped."""

    code = "dead_letter.not_found"


class ProjectionNotFound(InputError):
    """No worker has ever read for a projection of this name."""

    code = "projection.not_found"


class GatewayNotFound(InputError):
    """No gateway of this name has shown life lately."""

    code = "gateway.not_found"
