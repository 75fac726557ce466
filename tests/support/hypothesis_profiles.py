"""How much is tried: least in `make test-fast`, little in `make test`, more in `make test-long`."""

from hypothesis import settings

UNTIMED, THOROUGH = "untimed", "thorough"
"""Profiles; the second by `pytest --hypothesis-profile=thorough`, as is the third, `quick`."""
for profile, tried in ((UNTIMED, 40), (THOROUGH, 100), ("quick", 15)):
    settings.register_profile(profile, deadline=None, max_examples=tried)
"""How long an example takes is the machine's affair."""


def examples(few: int, many: int) -> int:
    """Of a test whose every example is a request over HTTP."""
    return many if settings.get_current_profile_name() == THOROUGH else few
